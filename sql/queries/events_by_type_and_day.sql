-- How many events of each type a day brought, and from how many customers.
select
    event_timestamp::date as day,
    event_type,
    count(*) as events,
    count(distinct customer_id) as customers
from events
group by day, event_type
order by day, events desc;
