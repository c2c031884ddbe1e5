-- The server's process behind this connection. A number may be taken again, so the time is part of its name.
select pid, backend_start from pg_stat_activity where pid = pg_backend_pid();
