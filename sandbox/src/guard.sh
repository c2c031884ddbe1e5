# Runs a service and ends it when its owner is gone, however the owner ended.
#
# $1: the signal that asks the service to stop; $2: the one that ends it quickly; $3: a directory to remove after a
# stop, or nothing; the rest: the service. Standard input is a pipe that only the owner holds: a line in it asks for a
# stop, its end means that the owner is gone. Standard output gets the service's process id, and standard error is its
# log.
stop=$1 quick=$2 leftover=$3
shift 3
exec 3<&0 </dev/null

"$@" >&2 3<&- &
service=$!
# The kernel hangs up on a group of processes whose owner dies while one of them stands still.
trap '' HUP

# Started before anything that can fail, and on its own: it does its duty even where this shell is killed.
(
    exec >/dev/null 2>&1
    read -r line <&3
    asked=$?
    # A mark instead of a signal to the shell: bash can lose the end of the service while it handles one.
    [ -z "$leftover" ] || : >"$leftover/told"
    [ "$asked" -ne 0 ] || kill -s "$stop" "$service"
    while read -r line <&3; do :; done
    kill -s "$quick" "$service"
    for tenth in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 0.1; done
    kill -s KILL "$service"
) &
watcher=$!
exec 3<&-

echo "$service"
exec >&2
wait "$service"
status=$?
kill "$watcher" 2>/dev/null
# What a service leaves that ended by itself is kept for reading.
[ -z "$leftover" ] || [ ! -e "$leftover/told" ] || rm -rf -- "$leftover"
exit "$status"
