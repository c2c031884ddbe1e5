-- Closes files at the revision that was announced; a later account stays open.
update files set closed_at = now()
from unnest($1::bigint [], $2::bigint []) as closed (file_id, revision)
where files.file_id = closed.file_id and files.revision = closed.revision and files.closed_at is null;
