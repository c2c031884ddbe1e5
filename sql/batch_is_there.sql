-- Whether a batch ($1, of run $2) that had committed is still there, and whether this server follows another one.
select pg_is_in_recovery(), exists (select from batches where batch_id = $1 and run_id = $2);
