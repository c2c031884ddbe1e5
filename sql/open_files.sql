-- Files that are not closed: those whose totals have come, and those of which only rows have come.
select count(*)
from (
    select file_id from files
    union
    select file_id from batch_files
) known
left join files using (file_id)
where files.closed_at is null;
