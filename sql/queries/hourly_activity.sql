-- At which hours of the day people are active (UTC), over all days.
select
    extract(hour from event_timestamp at time zone 'UTC')::int as hour,
    count(*) as events,
    count(distinct customer_id) as customers,
    count(*) filter (where event_type = 'purchase') as purchases
from events
group by hour
order by hour;
