#!/bin/sh
# Starts nats-server with its users' passwords, which nats.conf takes from the environment.
set -eu

# nats-server reads a variable as part of its configuration: in quotes it is text, whatever it holds.
quoted() { printf '"%s"' "$(sed 's/[\\"]/\\&/g' "/run/passwords/$1/password")"; }

PRODUCER_PASSWORD=$(quoted producer)
CONSUMER_PASSWORD=$(quoted consumer)
OPERATOR_PASSWORD=$(quoted operator)
export PRODUCER_PASSWORD CONSUMER_PASSWORD OPERATOR_PASSWORD
exec nats-server "$@"
