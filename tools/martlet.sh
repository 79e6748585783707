#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts and stops the broker of the install tree this file lies in (installed as bin/martlet).
#
#   MARTLET_START_TIMEOUT   seconds that start waits for the first answer, 60
#   MARTLET_STOP_TIMEOUT    seconds that stop waits for the end, 60
set -eu

root=$(dirname "$(dirname "$(readlink -f "$0")")")
broker=$root/bin/martlet-broker
ctl=$root/bin/martlet_ctl
conf=$root/etc/martlet.conf
pid_file=$root/data/martlet.pid

usage() {
    cat <<END
Usage: martlet COMMAND
  console   run the broker here, until it is interrupted
  start     run the broker in the background
  stop      stop it
  restart   stop it if it runs, and start it
  ping      say pong if it answers
  status    show whether it runs
  version   show its version
  reload-certs
            have its listeners read their certificates again; clients stay
END
}

die() {
    echo "$*" >&2
    exit 1
}

# The value of a key in martlet.conf, empty when it is not set there.
conf_value() {
    key=$(printf '%s' "$1" | sed 's/\./\\./g')
    [ -r "$conf" ] || return 0
    tr -d '\r' <"$conf" | sed -n "s/^[[:space:]]*${key}[[:space:]]*=[[:space:]]*//p" | tail -n 1 |
        sed 's/^"\([^"]*\)".*$/\1/; s/[[:space:]]*$//'
}

under_root() {
    case $1 in
    /*) printf '%s' "$1" ;;
    *) printf '%s' "$root/$1" ;;
    esac
}

node=${MARTLET_NODE_NAME:-$(conf_value node.name)}
node=${node:-martlet@127.0.0.1}
log_dir=${MARTLET_LOG_DIR:-$(conf_value log.dir)}
log_dir=$(under_root "${log_dir:-log}")
start_log=$log_dir/start.log

# A process is this tree's broker if its command line says so: a pid alone may have been given to somebody else.
is_broker() {
    { tr '\0' '\n' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qxF -- "$broker"
}

# A process that has ended but was not waited for yet still has its folder in /proc.
is_alive() {
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
    [ -n "$state" ] && [ "$state" != Z ]
}

# Prints the pid of the running broker, or fails.
running_pid() {
    [ -r "$pid_file" ] || return 1
    pid=$(cat "$pid_file")
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    is_broker "$pid" && is_alive "$pid" && echo "$pid"
}

answers() { "$ctl" ping >/dev/null 2>&1; }

refuse_second() {
    if pid=$(running_pid); then die "Node '$node' is already running (pid $pid)."; fi
    if answers; then die "Node '$node' is already running, but not from $pid_file."; fi
}

prepare() {
    [ -x "$broker" ] || die "There is no broker at $broker."
    mkdir -p "$root/data" "$log_dir" 2>/dev/null || die "Cannot create $root/data and $log_dir."
    [ -w "$root/data" ] || die "This user may not write to $root/data."
    [ -w "$log_dir" ] || die "This user may not write to $log_dir."
    exec 9>"$root/data/martlet.lock"
    flock -n 9 || die "Another start of node '$node' is under way."
    refuse_second
    make_certificates
}

# A TLS listener needs a certificate, and a tree that has never run has none: one to try it with.
make_certificates() {
    [ ! -e "$root/etc/certs/cert.pem" ] && [ -r "$conf" ] || return 0
    grep -Eq '^[[:space:]]*listener\.(ssl|wss|apis)\.' "$conf" || return 0
    "$root/bin/make-certs" "$root/etc/certs" >&2 || echo "note: no certificate was made for the TLS listeners." >&2
}

version() { "$broker" --version; }

console() {
    prepare
    echo "$$" >"$pid_file"
    exec 9>&-
    exec "$broker" "$@"
}

# In the background there is no console: what would go there goes to the log file, which rotates.
log_to_file() {
    to=${MARTLET__LOG__TO:-${MARTLET_LOG_TO:-$(conf_value log.to)}}
    to=${to:-$(conf_value log.console)}
    case ${to:-console} in
    console | both)
        unset MARTLET__LOG__TO
        export MARTLET_LOG_TO=file
        ;;
    esac
}

start() {
    prepare
    log_to_file
    setsid "$broker" "$@" </dev/null >"$start_log" 2>&1 9>&- &
    pid=$!
    echo "$pid" >"$pid_file"
    tenths=$((${MARTLET_START_TIMEOUT:-60} * 10))
    while ! answers; do
        is_alive "$pid" || failed_start "$pid"
        tenths=$((tenths - 1))
        if [ "$tenths" -le 0 ]; then
            show_log
            die "Node '$node' runs (pid $pid) but did not answer within ${MARTLET_START_TIMEOUT:-60} s."
        fi
        sleep 0.1
    done
    echo "$(version) is started successfully!"
}

failed_start() {
    status=0
    wait "$1" || status=$?
    rm -f "$pid_file"
    show_log
    die "Node '$node' did not start: the broker ended with status $status."
}

# The last lines of what the broker printed or, if it printed nothing, of its log.
show_log() {
    file=$(conf_value log.file)
    for log in "$start_log" "$log_dir/${file:-martlet.log}"; do
        if [ -s "$log" ]; then
            tail -n 20 "$log" >&2
            return
        fi
    done
}

stop() {
    if ! pid=$(running_pid); then
        if answers; then die "Node '$node' runs, but $pid_file does not say as which process."; fi
        die "Node '$node' is not running."
    fi
    kill -TERM "$pid" 2>/dev/null || die "This user may not stop process $pid."
    tenths=$((${MARTLET_STOP_TIMEOUT:-60} * 10))
    while is_alive "$pid"; do
        tenths=$((tenths - 1))
        [ "$tenths" -gt 0 ] || die "Node '$node' (pid $pid) did not stop within ${MARTLET_STOP_TIMEOUT:-60} s."
        sleep 0.1
    done
    rm -f "$pid_file"
    echo ok
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
console) console "$@" ;;
start) start "$@" ;;
stop) stop ;;
restart)
    if running_pid >/dev/null; then stop; fi
    start "$@"
    ;;
ping) exec "$ctl" ping ;;
status) exec "$ctl" status ;;
version) version ;;
reload-certs) exec "$ctl" listeners reload-certs ;;
help | --help | -h) usage ;;
*)
    usage >&2
    exit 1
    ;;
esac
