-- What the process $1 that began at $2 is doing: what it waits for, and, where that is its client, since which state and
-- how many bytes of COPY.
select coalesce(a.wait_event_type || ': ' || a.wait_event, a.state, '') as doing,
       case when a.state like 'idle%' or a.wait_event = 'ClientRead'
            then concat_ws(' ', a.state_change, c.bytes_processed) end as waits_for_client_since
from pg_stat_activity a left join pg_stat_progress_copy c using (pid)
where a.pid = $1 and a.backend_start = $2;
