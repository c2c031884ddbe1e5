-- How far visits get: sessions that viewed, that then put something into the cart, that then bought.
with steps as (
    select
        session_id,
        bool_or(event_type = 'view') as viewed,
        bool_or(event_type = 'add_to_cart') as carted,
        bool_or(event_type = 'purchase') as bought
    from events
    where session_id is not null
    group by session_id
)
select
    count(*) filter (where viewed) as sessions_with_view,
    count(*) filter (where viewed and carted) as sessions_with_cart,
    count(*) filter (where viewed and carted and bought) as sessions_with_purchase
from steps;
