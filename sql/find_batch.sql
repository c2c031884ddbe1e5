-- What a batch did, if it committed. The number alone ($1) may be another batch's.
select inserted, duplicates, redelivered, rejected
from batches
where
    batch_id = $1 and run_id = $2 and replica = $3 and stream_created = $4 and first_sequence = $5
    and last_sequence = $6;
