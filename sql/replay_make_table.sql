-- The table that a replay fills: the columns, checks and indexes of events.
create table if not exists {table} (like events including all);
comment on table {table} is '{mark}';
