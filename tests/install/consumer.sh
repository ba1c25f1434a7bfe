#!/usr/bin/env bash
# Installs the build into an empty folder and builds, against nothing but that, a project that uses
# it. usage: consumer.sh SOURCE BUILD SNAPSHOT CXX_FLAGS
set -euo pipefail
source=$1 build=$2 snapshot=$3 flags=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/usr" >"$work/install.log"
# Moved after installing: no absolute path may be left inside.
mv "$work/usr" "$work/moved"
for name in octavo octavoConfig.cmake octavoConfigVersion.cmake octavo.1 liboctavo.so LICENSE; do
  [ -n "$(find "$work/moved" -name $name)" ] || { echo "not installed: $name" && exit 1; }
done
for header in "$source"/include/octavo/*.h; do
  cmp "$header" "$work/moved/include/octavo/$(basename "$header")"
done
version=$("$work/moved/bin/octavo" --version)
[ "$version" = "octavo $(sed -n 's/^project(octavo VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")" ] ||
  { echo "wrong version: $version" && exit 1; }
# Every man page line that roff would take for a request it does not know is a warning.
if command -v man >/dev/null; then
  warnings=$(man --warnings -l "$work/moved/share/man/man1/octavo.1" 2>&1 >/dev/null || true)
  [ -z "$warnings" ] || { echo "man page: $warnings" && exit 1; }
fi

cmake -S "$source/tests/install" -B "$work/consumer" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_PREFIX_PATH="$work/moved" >"$work/configure.log" ||
  { cat "$work/configure.log" && exit 1; }
cmake --build "$work/consumer" >"$work/build.log" || { cat "$work/build.log" && exit 1; }
"$work/consumer/consumer" "$snapshot" "$work/model"

# A version that the package does not promise to serve is refused.
sed 's/find_package(octavo 0.1/find_package(octavo 0.2/' "$source/tests/install/CMakeLists.txt" >"$work/CMakeLists.txt"
cp "$source/tests/install/consumer.cc" "$work/"
if cmake -S "$work" -B "$work/newer" -G Ninja -DCMAKE_PREFIX_PATH="$work/moved" >/dev/null 2>&1; then
  echo "octavo 0.2 was asked for and this one taken" && exit 1
fi
