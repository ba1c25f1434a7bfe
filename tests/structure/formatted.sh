#!/bin/sh
# Every C++ file is as clang-format 14 leaves it. usage: formatted.sh CLANG_FORMAT ROOT
"$1" --version | grep -q 'version 14' || { echo "skipped: needs clang-format 14"; exit 0; }
cd "$2" && git ls-files -co --exclude-standard '*.cc' '*.h' | xargs "$1" --dry-run -Werror
