-- What copy_incoming does, for few rows: one message there and one back. COPY's end is a small message of its own,
-- which the driver's sockets hold back until the server has confirmed the data: 40 ms on an idle connection.
insert into incoming (
    event_id, event_type, event_timestamp, customer_id, customer_name, customer_email, customer_address,
    session_id, user_agent, ip_address, product_id, product_name, category, brand, sku, price, price_category,
    device_type, attributes, file_id, source_row, source_event_id, batch_id
)
select
    event_id::uuid, event_type, event_timestamp::timestamptz, customer_id, customer_name, customer_email,
    customer_address, session_id, user_agent, ip_address::inet, product_id, product_name, category, brand, sku,
    price::numeric(12, 2), price_category, device_type, attributes::jsonb, file_id::bigint, source_row::bigint,
    source_event_id, $1
from unnest(
    $2::text [], $3::text [], $4::text [], $5::text [], $6::text [], $7::text [], $8::text [], $9::text [],
    $10::text [], $11::text [], $12::text [], $13::text [], $14::text [], $15::text [], $16::text [],
    $17::text [], $18::text [], $19::text [], $20::text [], $21::text [], $22::text [], $23::text []
) as line (
    event_id, event_type, event_timestamp, customer_id, customer_name, customer_email, customer_address,
    session_id, user_agent, ip_address, product_id, product_name, category, brand, sku, price, price_category,
    device_type, attributes, file_id, source_row, source_event_id
);
