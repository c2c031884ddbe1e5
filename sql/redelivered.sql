-- How often a row came again that was in its table already.
select coalesce(sum(redelivered), 0)::bigint from batches where not replay;
