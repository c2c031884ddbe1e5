-- The number and the id of a new run. Numbers of earlier runs are passed over, which come again when the sequence does
-- not go on where the tables do: after a restore of the tables alone, or an upgrade by logical replication.
with recursive candidate (number) as (
    select nextval('runs')
    union all
    select nextval('runs')
    from candidate
    where exists (
        select from batches
        where batch_id >= candidate.number * 1000000000 and batch_id < (candidate.number + 1) * 1000000000
    )
)
select max(number), gen_random_uuid() from candidate;
