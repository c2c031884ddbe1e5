-- Keeps the rows whose event_id belongs to a row of another origin. It runs after insert_new as a statement of its
-- own, because a row that another replica committed meanwhile is invisible to the statement it conflicted with.
-- The same origin is a redelivery and is left out. Answers how many rows of each file were kept.
with kept as (
    insert into duplicates (
    event_id, event_type, event_timestamp, customer_id, customer_name, customer_email, customer_address, session_id,
    user_agent, ip_address, product_id, product_name, category, brand, sku, price, price_category, device_type,
    attributes, file_id, source_row, source_event_id, batch_id,
    differs
    )
    select distinct on (file_id, source_row)
    incoming.event_id, incoming.event_type, incoming.event_timestamp, incoming.customer_id, incoming.customer_name,
    incoming.customer_email, incoming.customer_address, incoming.session_id, incoming.user_agent, incoming.ip_address,
    incoming.product_id, incoming.product_name, incoming.category, incoming.brand, incoming.sku, incoming.price,
    incoming.price_category, incoming.device_type, incoming.attributes, incoming.file_id, incoming.source_row,
    incoming.source_event_id, incoming.batch_id,
    (
        stored.event_type, stored.event_timestamp, stored.customer_id, stored.customer_name, stored.customer_email,
        stored.customer_address, stored.session_id, stored.user_agent, stored.ip_address, stored.product_id,
        stored.product_name, stored.category, stored.brand, stored.sku, stored.price, stored.price_category,
        stored.device_type, stored.attributes, stored.source_event_id
    ) is distinct from (
        incoming.event_type, incoming.event_timestamp, incoming.customer_id, incoming.customer_name,
        incoming.customer_email, incoming.customer_address, incoming.session_id, incoming.user_agent,
        incoming.ip_address, incoming.product_id, incoming.product_name, incoming.category, incoming.brand,
        incoming.sku, incoming.price, incoming.price_category, incoming.device_type, incoming.attributes,
        incoming.source_event_id
    ) as differs
    from incoming
    inner join events as stored using (event_id)
    where
        (stored.file_id, stored.source_row) is distinct from (incoming.file_id, incoming.source_row)
        and not exists (
            select from corrupt_records as settled
            where settled.file_id = incoming.file_id and settled.source_row = incoming.source_row
        )
    order by file_id, source_row
    on conflict (file_id, source_row) do nothing
    returning file_id
)
select file_id, count(*) from kept group by file_id;
