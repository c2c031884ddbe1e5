-- Everything of the gap that begins at $2 in this life of the stream ($1) is accounted for.
delete from stream_gaps where stream_created = $1 and first_sequence = $2;
