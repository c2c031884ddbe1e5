-- What a batch did, if it committed.
select inserted, duplicates, redelivered, rejected from batches where batch_id = $1;
