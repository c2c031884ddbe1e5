-- Rows of `duplicates` whose event is not in `events`: there is nothing that they repeat.
select count(*) from duplicates where not exists (select from events where events.event_id = duplicates.event_id);
