-- A tailer that died and then finds its file gone announces the rows of its last checkpoint, although it may have sent
-- more. Rows are sent in order, so where a later row of a truncated file ($1, or all) has come, all up to it were read:
-- the totals were a lower bound. Their number alone would hide a row that is missing before the last one.
update files set rows_read = settled.rows
from (
    select
        file_id,
        greatest(
            (
                select sum(events + duplicates + corrupt)
                from batch_files
                where batch_files.file_id = truncated.file_id and not replay
            ),
            -- The last of the bits that are set in the last block.
            (
                select (block << 6) + length(ltrim(bit_or(bits)::bit(64)::text, '0')) - 1
                from batch_rows
                where batch_rows.file_id = truncated.file_id
                group by block
                order by block desc
                limit 1
            ),
            (select max(source_row) from duplicates where duplicates.file_id = truncated.file_id),
            (select max(source_row) from corrupt_records where corrupt_records.file_id = truncated.file_id)
        ) as rows
    from files as truncated
    where state = 'truncated' and ($1::bigint [] is null or file_id = any($1))
) as settled
where files.file_id = settled.file_id and files.state = 'truncated' and files.rows_read < settled.rows;
