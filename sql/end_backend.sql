-- Ends the process $1 that began at $2, whose client has gone without its knowledge: it may be in a transaction, and
-- would keep rows locked for as long as its network lets it.
select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start = $2;
