-- Takes the right to run the replay of this name ($1), until the session ends; false where somebody else has it.
select pg_try_advisory_lock(hashtextextended('millrace replay ' || $1, 0));
