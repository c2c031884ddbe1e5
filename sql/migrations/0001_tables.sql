-- The tables. A migration never changes once it is released, and later ones only add: a consumer of the previous
-- version must be able to go on writing while replicas are replaced one by one.

-- One row an event. The columns that a plain file fills come first, so that \copy works too; where a row came from
-- is null for rows that did not come through Millrace.
create table events (
    event_id         uuid        not null primary key,
    event_type       text        not null check (event_type <> ''),
    event_timestamp  timestamptz not null,
    customer_id      text,
    customer_name    text,
    customer_email   text,
    customer_address text,
    session_id       text,
    user_agent       text,
    ip_address       inet,
    product_id       text,
    product_name     text,
    category         text,
    brand            text,
    sku              text,
    -- numeric knows NaN, and takes it for larger than every number
    price            numeric(12, 2) check (price >= 0 and price < 'NaN'),
    price_category   text check (price_category in ('Low', 'Medium', 'High')),
    device_type      text check (device_type in ('Mobile', 'Desktop', 'Tablet')),
    attributes       jsonb,
    file_id          bigint,
    source_row       bigint,
    source_event_id  text,
    batch_id         bigint,
    created_at       timestamptz not null default now()
);

-- Rows whose event_id another row had already brought: the whole row, and whether it says something else.
create table duplicates (
    event_id         uuid        not null,
    event_type       text        not null,
    event_timestamp  timestamptz not null,
    customer_id      text,
    customer_name    text,
    customer_email   text,
    customer_address text,
    session_id       text,
    user_agent       text,
    ip_address       inet,
    product_id       text,
    product_name     text,
    category         text,
    brand            text,
    sku              text,
    price            numeric(12, 2),
    price_category   text,
    device_type      text,
    attributes       jsonb,
    file_id          bigint      not null,
    source_row       bigint      not null,
    source_event_id  text,
    batch_id         bigint      not null,
    created_at       timestamptz not null default now(),
    differs          boolean     not null,
    primary key (file_id, source_row)
);
create index duplicates_event_id on duplicates (event_id);

-- Rows that could not become events, with their bytes. A message that does not say which row it is has no origin
-- and is known by its place in the stream.
create table corrupt_records (
    record_id       bigint      generated always as identity primary key,
    file_id         bigint,
    source_row      bigint,
    byte_start      bigint,
    byte_end        bigint,
    stage           text        not null check (stage in ('producer', 'decode', 'database')),
    reason          text        not null,
    message         text        not null,
    column_name     text,
    value           text,
    raw             bytea       not null,
    truncated       boolean     not null default false,
    stream_created  timestamptz not null,
    stream_sequence bigint      not null,
    batch_id        bigint      not null,
    created_at      timestamptz not null default now(),
    check ((file_id is null) = (source_row is null)),
    unique (file_id, source_row),
    unique (stream_created, stream_sequence)
);

-- One row a file: its account as the tailer knows it. A higher revision replaces a lower one.
create table files (
    file_id    bigint      not null primary key,
    revision   bigint      not null,
    path       text        not null,
    source     text        not null,
    bytes      bigint      not null,
    state      text        not null check (state in ('open', 'finished', 'truncated')),
    rows_read  bigint      not null,
    published  bigint      not null,
    rejected   bigint      not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- when the law held: rows_read = rows in events + in duplicates + in corrupt_records
    closed_at  timestamptz
);
create index files_to_close on files (file_id) where closed_at is null and state <> 'open';

-- One row a transaction. Its id is fixed before the first attempt: finding it here means that it committed.
create table batches (
    batch_id       bigint      not null primary key,
    replica        text        not null,
    replay         boolean     not null default false,
    stream_created timestamptz not null,
    first_sequence bigint      not null,
    last_sequence  bigint      not null,
    rows           integer     not null,
    inserted       integer     not null,
    duplicates     integer     not null,
    redelivered    integer     not null,
    rejected       integer     not null,
    -- when the oldest of its rows was written to its file
    oldest_written timestamptz,
    -- when the first of its rows was taken off the stream, when a writer took them up, and when it asked to commit
    fetched_at     timestamptz not null,
    write_began_at timestamptz not null,
    committed_at   timestamptz not null default clock_timestamp()
);
create index batches_committed_at on batches using brin (committed_at);
create index batches_last_sequence on batches (stream_created, last_sequence);

-- What a batch added to each file's account. Appended and never updated, so that replicas do not queue on one row.
create table batch_files (
    file_id    bigint  not null,
    batch_id   bigint  not null,
    events     integer not null,
    duplicates integer not null,
    corrupt    integer not null,
    replay     boolean not null default false,
    primary key (file_id, batch_id)
);

-- Each run of a consumer takes a number, from which it makes its batches' ids.
create sequence runs;
