-- Counts a file's duplicates that differ without a look at the others.
create index duplicates_differing_idx on duplicates (file_id) where differs;
