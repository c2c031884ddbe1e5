-- Puts new rows into events. Rows whose fate was settled before stay where they are, and keys are sorted, so that
-- two replicas wait for each other in one order. Answers which rows of each file are new, as a bit for each of 64 that
-- follow each other, and how many.
with inserted as (
    insert into events (
    event_id, event_type, event_timestamp, customer_id, customer_name, customer_email, customer_address, session_id,
    user_agent, ip_address, product_id, product_name, category, brand, sku, price, price_category, device_type,
    attributes, file_id, source_row, source_event_id, batch_id
    )
    select
    event_id, event_type, event_timestamp, customer_id, customer_name, customer_email, customer_address, session_id,
    user_agent, ip_address, product_id, product_name, category, brand, sku, price, price_category, device_type,
    attributes, file_id, source_row, source_event_id, batch_id
    from incoming
    where
        not exists (
            select from duplicates as settled
            where settled.file_id = incoming.file_id and settled.source_row = incoming.source_row
        )
        and not exists (
            select from corrupt_records as settled
            where settled.file_id = incoming.file_id and settled.source_row = incoming.source_row
        )
    order by event_id, file_id, source_row
    on conflict (event_id) do nothing
    returning file_id, source_row
)
select file_id, source_row >> 6, bit_or(1::bigint << (source_row & 63)::integer), count(*)
from inserted
group by 1, 2;
