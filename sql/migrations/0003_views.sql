-- Views for people. `create or replace`, so that a later migration can append columns.

-- One row an event type.
create or replace view v_event_summary as
select
    event_type,
    count(*) as events,
    count(distinct customer_id) as customers,
    count(distinct session_id) as sessions,
    count(distinct product_id) as products,
    round(avg(price), 2) as average_price,
    min(event_timestamp) as first_event,
    max(event_timestamp) as last_event
from events
group by event_type
order by events desc;

-- One row an hour and event type.
create or replace view v_hourly_events as
select
    date_trunc('hour', event_timestamp) as hour,
    event_type,
    count(*) as events,
    count(distinct customer_id) as customers
from events
group by 1, 2
order by 1, 2;

-- How many views become carts and purchases: one row a category, and a last one in total. Rates are per cent.
create or replace view v_purchase_funnel as
with steps as (
    select
        case grouping(category) when 1 then 'TOTAL' else coalesce(category, 'unknown') end as category,
        grouping(category) = 1 as total,
        count(*) filter (where event_type = 'view') as views,
        count(*) filter (where event_type in ('add_to_cart', 'cart')) as carts,
        count(*) filter (where event_type = 'purchase') as purchases
    from events
    group by rollup (category)
)
select
    category,
    views,
    carts,
    purchases,
    round(100.0 * carts / nullif(views, 0), 2) as view_to_cart_percent,
    round(100.0 * purchases / nullif(carts, 0), 2) as cart_to_purchase_percent,
    round(100.0 * purchases / nullif(views, 0), 2) as view_to_purchase_percent
from steps
order by total, category;

-- One row a product, the best-selling first.
create or replace view v_top_products as
select
    product_id,
    max(product_name) as product_name,
    max(category) as category,
    count(*) filter (where event_type = 'view') as views,
    count(*) filter (where event_type = 'purchase') as purchases,
    coalesce(sum(price) filter (where event_type = 'purchase'), 0) as revenue
from events
where product_id is not null
group by product_id
order by purchases desc, revenue desc, views desc, product_id;

-- The last hour of events, by the time at which they happened, newest first.
create or replace view v_recent_activity as
select
    event_timestamp,
    event_type,
    customer_id,
    customer_name,
    session_id,
    product_id,
    product_name,
    category,
    price,
    device_type,
    created_at
from events
where event_timestamp > now() - interval '1 hour'
order by event_timestamp desc;

-- What was committed, one row a minute: rows a second while batches were being written, and how long rows took
-- from file to table at worst.
create or replace view v_throughput as
select
    date_trunc('minute', committed_at) as minute,
    count(*) as batches,
    count(distinct replica) as replicas,
    sum(rows) as rows,
    sum(inserted) as inserted,
    sum(duplicates) as duplicates,
    sum(redelivered) as redelivered,
    sum(rejected) as rejected,
    round(
        sum(rows)
        / greatest(extract(epoch from max(committed_at) - min(write_began_at)), 0.001)::numeric
    ) as rows_per_second,
    round(avg(rows)) as rows_per_batch,
    round(1000 * avg(extract(epoch from committed_at - write_began_at))::numeric, 1) as average_write_ms,
    round(1000 * max(extract(epoch from committed_at - oldest_written))::numeric, 1) as oldest_row_ms
from batches
group by 1
order by 1;

-- The names of other layouts, so that queries written for them run unchanged.
create or replace view ecommerce_events as
select
    event_id,
    event_type,
    event_timestamp,
    customer_id,
    customer_name,
    customer_email,
    customer_address,
    session_id,
    user_agent,
    ip_address,
    product_id,
    product_name,
    category,
    brand,
    sku,
    price,
    price_category,
    device_type,
    created_at
from events;

create or replace view user_events as
select
    event_id,
    customer_id as user_id,
    customer_name as user_name,
    customer_email as user_email,
    event_type,
    product_id,
    product_name,
    category as product_category,
    price as product_price,
    price_category,
    event_timestamp,
    event_timestamp as "timestamp",
    session_id,
    device_type,
    user_agent,
    ip_address,
    created_at
from events;
