-- How many rejected rows the rows of a file have taken the place of.
select count(*) from corrupt_records where replaced_by_file_id = $1;
