-- The oldest gap that nothing accounts for.
select first_sequence, last_sequence from stream_gaps order by noted_at, first_sequence limit 1;
