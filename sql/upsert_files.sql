-- Takes over the accounts that are not older than the known ones. A file that was closed is open to be closed and
-- announced again, because whoever sent the account has not heard of it.
insert into files as known (
    file_id, revision, path, source, bytes, state, rows_read, published, rejected, header, delimiter
)
select file_id, revision, path, source, bytes, state, rows_read, published, rejected, header, delimiter
from unnest(
    $1::bigint [], $2::bigint [], $3::text [], $4::text [], $5::bigint [], $6::text [], $7::bigint [], $8::bigint [],
    $9::bigint [], $10::jsonb [], $11::text []
) as account (file_id, revision, path, source, bytes, state, rows_read, published, rejected, header, delimiter)
order by file_id
on conflict (file_id) do update set
    revision = excluded.revision,
    path = excluded.path,
    source = excluded.source,
    bytes = excluded.bytes,
    state = excluded.state,
    rows_read = excluded.rows_read,
    published = excluded.published,
    rejected = excluded.rejected,
    header = coalesce(excluded.header, known.header),
    delimiter = coalesce(excluded.delimiter, known.delimiter),
    updated_at = now(),
    closed_at = null
where excluded.revision >= known.revision;
