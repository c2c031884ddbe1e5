-- Every row in every table that it is in, by its origin: what tells it apart, and the columns that were written.
select file_id, source_row, 'event' as outcome, event_id,
    concat_ws('|', event_type, to_char(event_timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        customer_id, product_id, price, session_id, customer_address) as content,
    null::boolean as differs,
    null::bytea as raw
from events
union all
select file_id, source_row, 'duplicate', event_id,
    concat_ws('|', event_type, to_char(event_timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        customer_id, product_id, price, session_id, customer_address),
    differs,
    null
from duplicates
union all
select file_id, source_row, 'corrupt', null, null, null, raw
from corrupt_records
order by file_id, source_row;
