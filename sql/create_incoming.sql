-- Where a connection's rows wait while it is found out which of them are new. Made once a connection; the checks of
-- events come along, so that a refused row fails here already.
create temporary table if not exists incoming (like events including constraints) on commit delete rows;
alter table incoming drop column if exists created_at;
