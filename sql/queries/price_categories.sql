-- Purchases and revenue by price category and category.
select
    category,
    coalesce(price_category, 'unknown') as price_category,
    count(*) as purchases,
    sum(price) as revenue
from events
where event_type = 'purchase'
group by 1, 2
order by 1, 2;
