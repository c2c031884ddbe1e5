-- What people do on each kind of device, and what share of their views ends in a purchase.
select
    coalesce(device_type, 'unknown') as device_type,
    count(*) as events,
    count(distinct session_id) as sessions,
    count(*) filter (where event_type = 'view') as views,
    count(*) filter (where event_type = 'purchase') as purchases,
    round(
        100.0 * count(*) filter (where event_type = 'purchase')
        / nullif(count(*) filter (where event_type = 'view'), 0),
        2
    ) as view_to_purchase_percent,
    round(avg(price) filter (where event_type = 'purchase'), 2) as average_purchase
from events
group by 1
order by events desc;
