#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# newcomer - a fresh Debian 12 with nothing but its base packages: script/server must answer there,
# and script/test must pass, each alone and the first time. Needs root, debootstrap and a network;
# takes half an hour and some 6 GB. Part of `script/test long`.
#
#   test/newcomer.sh [server|test|both]
#
# NEWCOMER_DIR keeps the fresh root between runs (default: a folder that goes away at the end).
# NODE_EXTRA_CA_CERTS, a certificate file, is taken along for networks that need one.
set -eu
cd "$(dirname "$0")/.."
which=${1:-both}
[ "$(id -u)" = 0 ] || { echo "newcomer: needs root, for chroot" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "newcomer: needs debootstrap" >&2; exit 1; }
shared=$(cd "${OPMAAT_SHARED:-../shared}" && pwd)
dir=${NEWCOMER_DIR:-}
if [ -z "$dir" ]; then
    dir=$(mktemp -d)
    made=1
else
    mkdir -p "$dir"
    made=
fi
fresh=$dir/fresh
inside=

clean_up() {
    if [ -n "$inside" ]; then kill -KILL "$inside" 2>/dev/null || true; fi
    rm -rf "$dir/server" "$dir/test"
    if [ -n "$made" ]; then rm -rf "$dir"; fi
}
trap clean_up EXIT

if [ ! -f "$fresh/etc/debian_version" ]; then
    echo "newcomer: debootstrap"
    debootstrap --variant=minbase bookworm "$fresh" >"$dir/debootstrap.log" 2>&1 \
        || { tail -n 20 "$dir/debootstrap.log"; exit 1; }
fi
# Nothing more than the base: what the scripts need they must install.
for program in git curl node npm sudo python3 gcc meson; do
    [ ! -e "$fresh/usr/bin/$program" ] || { echo "newcomer: the fresh root has $program"; exit 1; }
done

# A copy of the fresh root with the tree and the shared data side by side in it. $1 its name.
furnish() {
    rm -rf "${dir:?}/$1"
    cp -a "$fresh" "$dir/$1"
    mkdir -p "$dir/$1/srv/opmaat" "$dir/$1/srv/shared"
    tar -c --anchored --exclude='./.git' --exclude='./build*' --no-anchored --exclude=node_modules \
        --exclude='./web/dist' . | tar -x -C "$dir/$1/srv/opmaat"
    tar -c -C "$shared" data | tar -x -C "$dir/$1/srv/shared"
    cp /etc/resolv.conf "$dir/$1/etc/resolv.conf"
    if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then cp "$NODE_EXTRA_CA_CERTS" "$dir/$1/srv/certificates.crt"; fi
}

# A command in that root, in process and mount spaces of its own, with an empty environment: no
# HOME, no TERM, no locale, nobody at the keyboard. Whatever it started ends with it.
enter() {    # root, command...
    local root=$dir/$1
    shift
    local extra=()
    if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then extra=(NODE_EXTRA_CA_CERTS=/srv/certificates.crt); fi
    exec unshare --mount --pid --fork --kill-child env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "${extra[@]}" \
        sh -c 'root=$1; shift
               mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount --rbind /sys "$root/sys"
               exec chroot "$root" "$@"' sh "$root" "$@" </dev/null
}

serves() {
    furnish server
    local port=18080 log=$dir/server.log began=$SECONDS
    (enter server /srv/opmaat/script/server --listen 127.0.0.1:$port) >"$log" 2>&1 &
    inside=$!
    echo "newcomer: script/server, log in $log"
    until curl -sf -o /dev/null "http://127.0.0.1:$port/readyz"; do
        if ! kill -0 "$inside" 2>/dev/null || [ $((SECONDS - began)) -gt 3000 ]; then
            tail -n 40 "$log"
            echo "newcomer: script/server never answered /readyz"
            return 1
        fi
        sleep 1
    done
    curl -sf -o /dev/null "http://127.0.0.1:$port/shop/" || { echo "newcomer: no shop"; return 1; }
    echo "newcomer: script/server answers after $((SECONDS - began)) s"
    kill -KILL "$inside"        # unshare minds no other signal while its child lives, and takes it along
    wait "$inside" 2>/dev/null || true
    inside=
    rm -rf "$dir/server"
}

tests() {
    furnish test
    local log=$dir/test.log began=$SECONDS
    echo "newcomer: script/test, log in $log"
    if ! (enter test /srv/opmaat/.ci/run) >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "newcomer: script/test failed"
        return 1
    fi
    echo "newcomer: script/test: $(tail -n 1 "$log"), after $((SECONDS - began)) s"
    rm -rf "$dir/test"
}

case $which in
server) serves ;;
test) tests ;;
*) serves && tests ;;
esac
