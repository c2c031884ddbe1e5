#!/bin/sh
# Starts PostgreSQL with the password at hand. A volume keeps the password that it was made with, so where there is one
# the password is changed first, in single-user mode, to which nobody else can connect.
set -eu

POSTGRES_PASSWORD=$(cat /run/passwords/postgres/password)
export POSTGRES_PASSWORD

# doubled TEXT SIGN: as SQL wants a quoted name or string.
doubled() { printf %s "$1" | sed "s/$2/$2$2/g"; }

if [ -s "$PGDATA/PG_VERSION" ]; then
  # A statement that fails is not logged: it holds the password.
  printf "alter role \"%s\" password '%s'\n" "$(doubled "$POSTGRES_USER" '"')" "$(doubled "$POSTGRES_PASSWORD" "'")" |
    setpriv --reuid=postgres --regid=postgres --init-groups \
      postgres --single -D "$PGDATA" -c exit_on_error=on -c log_min_error_statement=panic template1 >/dev/null ||
    printf 'the password of %s is still the one that the volume was made with\n' "$POSTGRES_USER" >&2
fi
exec docker-entrypoint.sh "$@"
