#!/bin/sh
# prepare.sh VENV: makes the Python environment that server.py needs, unless it is there already.
# May run several times at once: the first makes it, the others wait.
set -eu
venv=$1
requirements=$(dirname "$0")/requirements.txt

mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9
if cmp -s "$requirements" "$venv/installed"; then
    exit 0
fi
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$requirements"
cp "$requirements" "$venv/installed" # last: what is half made is made again
