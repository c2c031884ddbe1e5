-- What every connection needs, whatever the server's or the role's defaults are: an acknowledged row must survive,
-- a long batch must not be cut off, a statement must see what was committed just before it, and a client whose host
-- or network is gone must not keep rows locked for the hours that the system's defaults give it.
set synchronous_commit = on;
set statement_timeout = 0;
set lock_timeout = 0;
set idle_in_transaction_session_timeout = '1min';
set tcp_keepalives_idle = 15;
set tcp_keepalives_interval = 5;
set tcp_keepalives_count = 3;
set default_transaction_isolation = 'read committed';
set default_transaction_read_only = off;
set timezone = 'UTC';
set client_min_messages = warning;
