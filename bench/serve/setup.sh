#!/usr/bin/env bash
# What run.py needs, under one folder: an environment with pinned versions, and MiniLM as `octavo build` leaves it. What is
# there already is kept.
#
#   bench/serve/setup.sh OCTAVO WORK
#
# OCTAVO is the program. MiniLM comes from scripts/fetch_models.sh. About 400 MB of disk.
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
octavo=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
root=$(realpath "$here/../..")

if [ ! -e "$work/venv/.ready" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet -r "$here/requirements.txt"
  touch "$work/venv/.ready"
fi
if [ ! -e "$work/minilm/model.int8.vanilla.onnx" ]; then
  "$root/scripts/fetch_models.sh"
  "$octavo" build "$root/build/models/minilm" -o "$work/minilm"
fi
