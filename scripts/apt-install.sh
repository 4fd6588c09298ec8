#!/usr/bin/env bash
# Installs Debian packages, as root, without letting any of them start a daemon.
#
# While apt runs, /usr/sbin/policy-rc.d says 101 (invoke-rc.d: "action forbidden by policy"). What was
# there before comes back on success, failure and interrupt; after a kill -9, on the next run.
set -eu

policy=/usr/sbin/policy-rc.d
saved=$policy.before-offhook
mark='placed by the set-up of offhook while it installs packages'

restore() {
    if [ -e "$saved" ] || [ -L "$saved" ]; then
        mv -f "$saved" "$policy"
    elif grep -qs "$mark" "$policy"; then
        rm -f "$policy"
    fi
}

restore
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

if [ -e "$policy" ] || [ -L "$policy" ]; then
    cp -a "$policy" "$saved"
fi
printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" >"$policy.new"
chmod 755 "$policy.new"
mv -f "$policy.new" "$policy"

log=$(mktemp)
trap 'rm -f "$log"; restore' EXIT
export DEBIAN_FRONTEND=noninteractive
run() {
    if ! "$@" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        return 1
    fi
}

# Package lists may be missing (fresh containers) or stale (the version they name is gone): update first,
# and go on with the lists that are there when the network is not.
run apt-get -q update || echo "offhook: apt-get update failed; trying with the lists that are here" >&2
run apt-get -q install -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
