-- Notes which messages of a life of the stream ($1) were acknowledged, up to $2, although the database knows no batch of
-- them.
insert into stream_gaps as known (stream_created, first_sequence, last_sequence)
select $1, coalesce(max(last_sequence), 0) + 1, $2
from batches
where stream_created = $1 and not replay
having coalesce(max(last_sequence), 0) < $2
on conflict (stream_created, first_sequence) do update set
    last_sequence = greatest(known.last_sequence, excluded.last_sequence);
