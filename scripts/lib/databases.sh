# Throw-away databases for whoever sources this: a Postgres with fsync on and a Redis, both on free ports in a temporary directory
# that is removed at the end, also after Ctrl-C. Needs bash with `set -euo pipefail`, and `say`, which tells people things.
# shellcheck shell=bash

find_postgres() {
    local dir
    for dir in /usr/lib/postgresql/*/bin "$(dirname "$(command -v postgres 2>/dev/null || echo /none/x)")"; do
        [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ] && { echo "$dir"; return; }
    done
    return 0
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

install_missing() {
    local missing=()
    [ -n "$(find_postgres)" ] || missing+=(postgresql)
    command -v redis-server >/dev/null || missing+=(redis-server)
    # What a page sees is tested in a real browser; this is Debian's Chromium without all that draws windows.
    command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || missing+=(chromium-headless-shell)
    [ ${#missing[@]} -eq 0 ] && return
    if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; }; then
        say "missing: ${missing[*]} (Debian package names); install them and run this again"
        exit 1
    fi
    say "installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

install_missing
postgres_bin=$(find_postgres)

work=$(mktemp -d /tmp/onsale-test.XXXXXX)
postgres_pid=
redis_pid=
watch_pid=
cleanup() {
    local code=$?
    trap - EXIT INT TERM
    [ -n "$watch_pid" ] && kill "$watch_pid" 2>/dev/null || true
    # SIGQUIT ends Postgres at once; its directory goes away anyway.
    [ -n "$redis_pid" ] && kill "$redis_pid" 2>/dev/null || true
    [ -n "$postgres_pid" ] && kill -QUIT "$postgres_pid" 2>/dev/null || true
    [ -n "$redis_pid$postgres_pid" ] && wait 2>/dev/null || true
    rm -rf "$work"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Postgres refuses to run as root: then the directory and the processes belong to the user that Debian made for it.
# setpriv replaces itself, so that the process we start is the one we stop.
run_as=()
if [ "$(id -u)" = 0 ]; then
    run_as=(setpriv --reuid=postgres --regid=postgres --init-groups)
    chown postgres "$work"
fi
chmod 711 "$work"

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 12000))
        if [ "$port" != "${1:-}" ] && port_is_free "$port"; then echo "$port"; return; fi
    done
    say "no free port found"
    exit 1
}
postgres_port=$(free_port)
redis_port=$(free_port "$postgres_port")

say "starting Postgres on port $postgres_port and Redis on port $redis_port in $work"
(cd "$work" && "${run_as[@]}" "$postgres_bin/initdb" -D "$work/pg" -U postgres -A trust -E UTF8 --locale=C >"$work/initdb.log" 2>&1) \
    || { cat "$work/initdb.log" >&2; exit 1; }
# setsid keeps Ctrl-C from reaching the databases before the tests have ended; the trap stops them.
(cd "$work" && exec setsid "${run_as[@]}" "$postgres_bin/postgres" -D "$work/pg" -p "$postgres_port" -k "$work" \
    -c listen_addresses=127.0.0.1 -c fsync=on -c max_connections=300 -c shared_buffers=128MB) >"$work/postgres.log" 2>&1 &
postgres_pid=$!
(cd "$work" && exec setsid redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no) >"$work/redis.log" 2>&1 &
redis_pid=$!
# A kill of this script, which no trap sees, must not leave the databases behind.
setsid bash -c 'while kill -0 "$1"; do sleep 1; done; kill -QUIT "$2"; kill "$3"; rm -rf "$4"' \
    watch $$ "$postgres_pid" "$redis_pid" "$work" >/dev/null 2>&1 &
watch_pid=$!

wait_until() {
    local what=$1 log=$2
    shift 2
    for _ in $(seq 150); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    say "$what did not start:"
    cat "$log" >&2
    exit 1
}
wait_until Postgres "$work/postgres.log" "$postgres_bin/pg_isready" -h 127.0.0.1 -p "$postgres_port" -U postgres
wait_until Redis "$work/redis.log" redis-cli -h 127.0.0.1 -p "$redis_port" ping

export ONSALE_TEST_POSTGRES_URL="postgres://postgres@127.0.0.1:$postgres_port/postgres"
export ONSALE_TEST_REDIS_URL="redis://127.0.0.1:$redis_port"
