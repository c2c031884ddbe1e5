-- Whether a file that was read to its end is not closed yet.
select exists (select from files where closed_at is null and state <> 'open');
