#!/usr/bin/env bash
# Sets up what a make target needs: setup.sh demo|test|bench
#
# System packages by apt where they are missing, then .venv with the locked dependencies and the command
# `offhook`. A second run only compares a hash. PYTHON=... chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
marker=$venv/.offhook-setup
oldest=11 # Python 3.11

say() { printf 'offhook: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Which packages, for what.
packages=(gcc libc6-dev portaudio19-dev)
case "${1:-demo}" in
    demo) ;;
    test) packages+=(pulseaudio pulseaudio-utils libasound2-plugins tmux sip-tester espeak-ng
                     kamailio kamailio-tls-modules baresip-core tshark) ;;
    bench) packages+=(baresip-core sip-tester libspandsp2 multimon-ng asterisk-moh-opsound-wav flite
                      espeak-ng frozen-bubble-data neverball-data
                      asterisk-core-sounds-{en,es,fr,it,ru}-wav) ;;
    *) die "scripts/setup.sh takes demo, test or bench, not '$1'." ;;
esac

# --- Python ------------------------------------------------------------------------------------------

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 ||
    die "there is no '$python' here; install Python 3.$oldest or later (Debian, Ubuntu: python3 python3-venv)."
# One start of the interpreter answers everything: version, then whether venv and the C headers are there.
read -r major minor has_venv has_headers < <("$python" - <<'PY'
import importlib.util, os, sys, sysconfig
venv = all(importlib.util.find_spec(m) for m in ("venv", "ensurepip"))
headers = os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h"))
print(sys.version_info[0], sys.version_info[1], int(venv), int(headers))
PY
) || die "'$python' does not run; choose another Python with PYTHON=/path/to/python3."
[ "$major" -gt 3 ] || { [ "$major" -eq 3 ] && [ "$minor" -ge $oldest ]; } ||
    die "'$python' is Python $major.$minor, but 3.$oldest or later is needed; choose one with PYTHON=/path/to/python3."
[ "$has_venv" = 1 ] || packages+=("python$major.$minor-venv")
[ "$has_headers" = 1 ] || packages+=("python$major.$minor-dev")

# --- system packages ---------------------------------------------------------------------------------

if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
    missing=()
    for package in "${packages[@]}"; do
        grep -qx ".i  *$package" <<<"$installed" || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        if [ "$(id -u)" = 0 ]; then
            sudo=()
        elif command -v sudo >/dev/null 2>&1; then
            sudo=(sudo)
        else
            die "these packages are missing, and there is no sudo to install them with: ${missing[*]}." \
                "As root: apt-get install ${missing[*]}"
        fi
        say "installing system packages: ${missing[*]}"
        "${sudo[@]}" bash scripts/apt-install.sh "${missing[@]}" ||
            die "apt could not install ${missing[*]}; its own words are above. Install them and run this again."
    fi
elif [ ! -e "$marker" ]; then
    say "no apt here: please install what your system calls these Debian packages: ${packages[*]}. Going on."
fi

# --- .venv -------------------------------------------------------------------------------------------
# $marker holds the hash of what was installed. `incomplete` while a first installation is under way: one
# that was cut short is thrown away. `updating` while a later one is: it is tried again in place, as is a
# .venv that was made by hand and has no marker.

exec 9>.setup.lock
if command -v flock >/dev/null 2>&1; then
    flock 9
fi

want=$(cat requirements.lock pyproject.toml | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-64)
have=$(cat "$marker" 2>/dev/null || true)
works() { "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, '$oldest'))' 2>/dev/null; }
same_python() { # An explicit PYTHON= decides the version; otherwise a .venv that works is kept.
    [ -z "${PYTHON:-}" ] || "$venv/bin/python" -c "import sys; sys.exit(sys.version_info[:2] != ($major, $minor))"
}

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" >&2
}
# What only the benchmarks need: PESQ, which is built here with Cython and numpy, and PicoTTS. They do without, and say so.
target=${1:-demo}
bench_packages() {
    [ "$target" = bench ] && ! "$venv/bin/python" -c 'import pesq, py_nanotts' 2>/dev/null || return 0
    say "installing the benchmarks' Python packages"
    grep -v '^ *#' requirements-bench.lock | sed '/^pesq/,$d' >"$venv/.bench-requirements"
    { pip install -qq --no-deps --require-hashes -r "$venv/.bench-requirements" &&
        pip install -qq --no-deps --no-build-isolation --require-hashes -r requirements-bench.lock; } ||
        say "pip could not install requirements-bench.lock; the benchmark of speech will say that it is missing."
}

if [ "$have" = "$want" ] && [ -x "$venv/bin/offhook" ] && works && same_python; then
    bench_packages
    exit 0
fi

if [ "$have" = incomplete ] || ! works || ! same_python || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$venv"
    mkdir "$venv"
    echo incomplete >"$marker"
    say "making $venv with Python $major.$minor"
    "$python" -m venv "$venv" >&2 || die "'$python -m venv $venv' failed; its own words are above."
fi

[ "$(cat "$marker" 2>/dev/null || true)" = incomplete ] || echo updating >"$marker"
say "installing the locked Python packages (a minute or two the first time)"
# What builds the packages that come as source (PyAudio) is locked too, so it goes in first.
"$venv/bin/python" - <<'PY' >"$venv/.build-requirements" || die "requirements.lock can't be read."
import pathlib, re
lock = pathlib.Path("requirements.lock").read_text("utf-8")
print(re.search(r"(?ms)^setuptools==.*?(?=^\S|\Z)", lock)[0])
PY
pip install -qq --require-hashes -r "$venv/.build-requirements" ||
    die "pip could not install setuptools; its own words are above. Is the network there?"
pip install -qq --no-build-isolation --require-hashes -r requirements.lock ||
    die "pip could not install requirements.lock; its own words are above. PyAudio is built here and needs ${packages[*]}."
pip install -qq --no-build-isolation --no-deps --editable . ||
    die "pip could not install offhook itself; its own words are above."
echo "$want" >"$marker"
bench_packages
say "ready: $venv/bin/offhook"
