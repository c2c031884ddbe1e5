-- The revision of each file's account.
select file_id, revision from files;
