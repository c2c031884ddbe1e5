#!/bin/sh
# Before anything else starts: gives the data directories to the user who runs Millrace, and refuses what would end
# badly. Nothing is changed when something is refused.
set -eu

refuse() {
  printf 'init: %s\n' "$1" >&2
  exit 1
}

directories='data/landing data/archive data/checkpoints'

for directory in $directories; do
  [ -e "$directory" ] || continue
  owner=$(stat -c %u:%g "$directory")
  case ${owner%:*} in
    0 | "${RUN_AS%:*}") ;;
    *) refuse "$directory belongs to user ${owner%:*}, and Millrace runs as user ${RUN_AS%:*}, who may not move files \
there: write RUN_AS=$owner into .env, or give the directory to user ${RUN_AS%:*}" ;;
  esac
done

# JetStream keeps a directory an account. nats.conf knows one; what is in another one would silently be left behind.
for account in /nats/jetstream/*/; do
  name=$(basename "$account")
  case $name in
    MILLRACE | '*') ;;
    *) refuse "the NATS volume holds streams of the account $name, and nats.conf has only the account MILLRACE; NATS \
does not move streams between accounts: start with the nats.conf that made them until everything is read, then remove \
the volume (docker compose down; docker volume rm millrace_nats)" ;;
  esac
done

for directory in $directories; do
  if [ ! -e "$directory" ] || [ "$(stat -c %u "$directory")" = 0 ]; then
    mkdir -p "$directory"
    chown "$RUN_AS" "$directory" || refuse "$directory cannot be given to user $RUN_AS: the file system does not allow it"
    # Everybody may drop a file, and nobody may remove another one's.
    [ "$directory" != data/landing ] || chmod 1777 "$directory"
  fi
done
