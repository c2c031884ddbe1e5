-- Messages that were acknowledged and that the database has lost since: from when the loss is found until healing has
-- held every file against a checkpoint, or has read the messages themselves. Consumers refuse to start meanwhile.
create table stream_gaps (
    stream_created timestamptz not null,
    first_sequence bigint      not null,
    last_sequence  bigint      not null,
    -- files that a healing has held against their checkpoints; producers have checkpoints of their own
    held_files     bigint []   not null default '{}',
    noted_at       timestamptz not null default now(),
    primary key (stream_created, first_sequence)
);
