#!/bin/sh
# The passwords of the Compose stack. Each is made at random at the first start, and kept in a volume of its own, which
# only the services that need it mount. One that is set in .env takes its place. `show` prints them.
#
# It runs with BusyBox as well as with GNU's programs.
set -eu
umask 077

refuse() {
  printf 'passwords: %s\n' "$1" >&2
  exit 1
}

cd /run/passwords
names='postgres producer consumer operator pgadmin'

# What .env says, if anything.
given() {
  case $1 in
    postgres) printf %s "$POSTGRES_PASSWORD" ;;
    producer) printf %s "$PRODUCER_PASSWORD" ;;
    consumer) printf %s "$CONSUMER_PASSWORD" ;;
    operator) printf %s "$OPERATOR_PASSWORD" ;;
    pgadmin) printf %s "$PGADMIN_PASSWORD" ;;
  esac
}

variable() { printf '%s_PASSWORD' "$1" | tr a-z A-Z; }

random() {
  hex=$(od -An -N16 -tx1 /dev/urandom | tr -dc 0-9a-f)
  [ ${#hex} = 32 ] || refuse 'failed to read 16 bytes of /dev/urandom'
  # A letter first: elsewhere 12e4 is a number.
  printf 'p%s' "$hex"
}

# write NAME PASSWORD COMMAND…: whole or not at all, also where this is killed or the machine stops. Each container has
# a host name of its own. COMMAND puts the new file in its place.
write() {
  new=$1/new.$(hostname) password=$1/password
  rm -f "$new"
  printf '%s\n' "$2" >"$new"
  # Millrace runs as RUN_AS, and the others as root or in root's group.
  chmod 440 "$new"
  chown "${RUN_AS%:*}:0" "$new"
  sync "$new"
  shift 2
  "$@" "$new" "$password"
  rm -f "$new"
  sync "${password%/*}"
}

# Two starts at once agree on the password of the first one.
link() { ln "$1" "$2" 2>/dev/null || [ -e "$2" ]; }

make() {
  for name in $names; do
    case $(given "$name") in
      *[[:cntrl:]]*) refuse "$(variable "$name") in .env has several lines or control characters; write it anew" ;;
    esac
  done
  for name in $names; do
    password=$(given "$name")
    if [ -n "$password" ]; then
      if [ ! -e "$name/password" ] || [ "$(cat "$name/password")" != "$password" ]; then
        write "$name" "$password" mv -f
        printf 'passwords: %s is now what .env says\n' "$(variable "$name")"
      fi
    elif [ ! -e "$name/password" ]; then
      write "$name" "$(random)" link
      printf 'passwords: %s was made at random\n' "$(variable "$name")"
    fi
    chown "${RUN_AS%:*}:0" "$name/password"
  done
}

# As part of a URL.
encoded() {
  case $1 in
    *[!A-Za-z0-9._~-]*) printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g' ;;
    *) printf %s "$1" ;;
  esac
}

show() {
  for name in $names; do
    [ -e "$name/password" ] || refuse 'there are none yet: docker compose up -d --wait'
  done
  password=$(cat postgres/password)
  user=$(encoded "$POSTGRES_USER") database=$(encoded "$POSTGRES_DB")
  printf 'PostgreSQL  postgres://%s:%s@127.0.0.1:%s/%s\n' "$user" "$(encoded "$password")" "$POSTGRES_PORT" "$database"
  printf '            user %s, password %s\n' "$POSTGRES_USER" "$password"
  for name in operator producer consumer; do
    printf 'NATS        nats://%s:%s@127.0.0.1:%s\n' "$name" "$(encoded "$(cat $name/password)")" "$NATS_PORT"
  done
  printf 'pgAdmin     http://127.0.0.1:%s\n' "$PGADMIN_PORT"
  printf '            user %s, password %s\n' "$PGADMIN_EMAIL" "$(cat pgadmin/password)"
}

case ${1:-make} in
  make | show) "${1:-make}" ;;
  *) refuse "$1 is no command of this: docker compose run --rm passwords show" ;;
esac
