-- Why these kinds: docs/decisions/0002-indexes.md.
create index events_event_timestamp on events using brin (event_timestamp) with (pages_per_range = 32);
create index events_customer_id on events (customer_id);
create index events_product_id on events (product_id);
