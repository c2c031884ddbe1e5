-- The three best-selling products of each category.
with sales as (
    select
        category,
        product_id,
        max(product_name) as product_name,
        count(*) as purchases,
        sum(price) as revenue
    from events
    where event_type = 'purchase'
    group by category, product_id
),
ranked as (
    select
        sales.*,
        row_number() over (partition by category order by purchases desc, revenue desc, product_id) as place
    from sales
)
select category, place, product_id, product_name, purchases, revenue
from ranked
where place <= 3
order by category, place;
