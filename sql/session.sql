-- What every connection needs, whatever the server's or the role's defaults are: an acknowledged row must survive,
-- a long batch must not be cut off, and a statement must see what was committed just before it.
set synchronous_commit = on;
set statement_timeout = 0;
set lock_timeout = 0;
set idle_in_transaction_session_timeout = 0;
set default_transaction_isolation = 'read committed';
set default_transaction_read_only = off;
set timezone = 'UTC';
set client_min_messages = warning;
