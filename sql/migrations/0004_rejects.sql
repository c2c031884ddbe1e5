-- Rejected rows can be mended and sent again: the row that took the place of a rejected one, and when.
alter table corrupt_records add column replaced_by_file_id bigint;
alter table corrupt_records add column replaced_by_row bigint;
alter table corrupt_records add column closed_at timestamptz;
alter table corrupt_records add check ((replaced_by_file_id is null) = (replaced_by_row is null));
alter table corrupt_records add check (closed_at is not null or replaced_by_row is null);

-- A file's column names, a JSON array, and what separates its fields: what rejected rows are written out under.
alter table files add column header jsonb;
alter table files add column delimiter text;
