-- Puts the rows of incoming into a replay's table, the first one of each event_id. Answers how many of each file were
-- new there.
with inserted as (
    insert into {table} (
        event_id, event_type, event_timestamp, customer_id, customer_name, customer_email, customer_address, session_id,
        user_agent, ip_address, product_id, product_name, category, brand, sku, price, price_category, device_type,
        attributes, file_id, source_row, source_event_id, batch_id
    )
    select
        event_id, event_type, event_timestamp, customer_id, customer_name, customer_email, customer_address, session_id,
        user_agent, ip_address, product_id, product_name, category, brand, sku, price, price_category, device_type,
        attributes, file_id, source_row, source_event_id, batch_id
    from incoming
    order by event_id, file_id, source_row
    on conflict (event_id) do nothing
    returning file_id
)
select file_id, count(*) from inserted group by file_id;
