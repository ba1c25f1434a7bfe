#!/usr/bin/env bash
# clang-tidy with the checks of .clang-tidy, findings as errors. Slow (a minute of CPU for every few
# files), so not a part of the tests.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
  cat <<'TEXT'
usage: scripts/lint.sh [ROOM | FILE.cc | --changed]...

  nothing    every source file in src/
  ROOM       those of src/ROOM
  --changed  those that differ from the branch origin/main

Exit codes: 0 clean; 1 findings; 2 the tool or the build's compile commands are missing.
TEXT
  exit 0
fi

command -v clang-tidy >/dev/null || { echo "lint: clang-tidy is missing: scripts/setup.sh" >&2 && exit 2; }
[ -f build/dev/compile_commands.json ] ||
  { echo "lint: no build/dev/compile_commands.json: cmake --preset dev" >&2 && exit 2; }

files=()
[ $# -gt 0 ] || set -- src
for what in "$@"; do
  if [ "$what" = --changed ]; then
    mapfile -t -O ${#files[@]} files < <(git diff --name-only --diff-filter=d origin/main -- 'src/*.cc')
  elif [ -f "$what" ]; then
    files+=("$what")
  else
    mapfile -t -O ${#files[@]} files < <(git ls-files "src/$what/*.cc" "$what/*.cc" | sort -u)
  fi
done
[ ${#files[@]} -gt 0 ] || { echo "lint: no files" && exit 0; }
# .clang-tidy is written for Debian 12's clang-tidy 14; -warnings-as-errors comes from there as well.
log=build/lint.log
status=0
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p build/dev >$log 2>&1 || status=1
grep -v -E '^[0-9]+ warnings? |^Suppressed|^Use -header-filter' $log || true
[ $status = 0 ] || { echo "lint: findings in ${#files[@]} files" >&2 && exit 1; }
echo "lint: ${#files[@]} files are clean"
