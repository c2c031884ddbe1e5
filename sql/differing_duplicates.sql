-- Id, path, rows and duplicates that differ of each of the files $1 that has any of those.
select
    file_id,
    path,
    rows_read,
    (select count(*) from duplicates where duplicates.file_id = files.file_id and differs) as differing
from files
where
    file_id = any($1)
    and exists (select from duplicates where duplicates.file_id = files.file_id and differs);
