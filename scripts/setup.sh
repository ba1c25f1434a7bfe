#!/usr/bin/env bash
# Makes a Debian 12 machine ready to build and test Octavo: apt packages, a Rust toolchain, Python
# environments for the oracles. Installs only what is missing; safe to run again (then it takes a
# second). Needs root or passwordless sudo only when a package is missing, and says which otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
usage: scripts/setup.sh [--build-only] [--oracles]

  --build-only  what building and running needs; no Python environments for the tests
  --oracles     also the PyTorch environment (several GB) for tests that compare with transformers

Exit codes: 0 ready; 1 something is missing, and the last lines say what and how to get it.
TEXT
}

oracles=0 build_only=0
for argument in "$@"; do
  case $argument in
    --oracles) oracles=1 ;;
    --build-only) build_only=1 ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
done

fail() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}

# --- Debian packages -----------------------------------------------------------------------------
packages=(g++ cmake ninja-build ccache git ca-certificates python3 python3-venv
  protobuf-compiler libprotobuf-dev libonnx-dev nlohmann-json3-dev libssl-dev
  libcli11-dev libspdlog-dev libsimde-dev libxxhash-dev libboost1.81-dev
  libcurl4-openssl-dev python3-dev)
if [ $build_only = 0 ]; then
  packages+=(libgtest-dev libbenchmark-dev clang-format clang-tidy chromium openjdk-17-jre-headless
    python3-torch libopenblas0-pthread)
fi

# Sets as_root, what goes before root's commands; fails when this user is not root and may not sudo.
become_root() {
  as_root=()
  [ "$(id -u)" = 0 ] || { sudo -n true 2>/dev/null && as_root=(sudo -n); }
}

# install_packages <package>...: through apt, with the rights this user has.
install_packages() {
  local as_root
  become_root || fail "missing packages: $*" "install them as root and run this again:" \
    "  apt-get update && apt-get install -y --no-install-recommends $*"
  echo "setup: installing $*"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if command -v dpkg-query >/dev/null; then
  missing=()
  for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
else
  echo "setup: not a Debian system; these must be here under their local names: ${packages[*]}" >&2
fi

# --- Rust ----------------------------------------------------------------------------------------
# The tokenizer is a Rust crate; the build says which compiler it needs.
need=$(sed -n 's/^set(OCTAVO_RUST_MINIMUM \([0-9.]*\)).*/\1/p' cmake/rust.cmake)
rust_ok() {
  local have
  have=$(cargo --version 2>/dev/null | sed -n 's/^cargo \([0-9.]*\).*/\1/p')
  [ -n "$have" ] && [ "$(printf '%s\n' "$need" "$have" | sort -V | head -n 1)" = "$need" ]
}
if ! rust_ok; then
  # Debian 12's own cargo is 0.66; cargo-web is the current one that its browsers are built with.
  offered=$(apt-cache policy cargo-web 2>/dev/null | sed -n 's/^ *Candidate: \([0-9.]*\).*/\1/p')
  if [ -n "$offered" ] && [ "$(printf '%s\n' "$need" "$offered" | sort -V | head -n 1)" = "$need" ]; then
    install_packages cargo-web
  fi
fi
rust_ok || fail "needs cargo $need or newer, found: $(cargo --version 2>&1 | head -n 1 || echo none)" \
  "get it with 'apt-get install cargo-web' on Debian 12, or from https://rustup.rs"

# --- Python environments for the tests -----------------------------------------------------------
[ $build_only = 0 ] || exit 0
# Debian 12's own first: one environment has the system's PyTorch, which is made for that.
python=
for candidate in python3.11 python3 python3.12; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || fail "needs Python 3.11 or 3.12 for the test oracles, found: $(python3 --version 2>&1)"

# environment <name> <requirements file> [pip options]: build/venv/<name>, remade when the file changes.
environment() {
  local folder=build/venv/$1 file=$2
  shift 2
  local stamp
  # Lists that include another one are stamped with it.
  case $file in
    tests/python/requirements.txt) stamp=$(sha256sum tests/python/requirements{,-wheel}.txt | sha256sum) ;;
    tests/python/* | *-clients.txt) stamp=$(sha256sum "$file" | sha256sum) ;;
    *) stamp=$(sha256sum tests/oracle/requirements[.-][!c]*t | sha256sum) ;;
  esac
  [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && return
  echo "setup: Python environment $folder"
  rm -rf "$folder"
  "$python" -m venv "$folder"
  "$folder/bin/python" -m pip install -q --disable-pip-version-check "$@" -r "$file"
  echo "$stamp" >"$folder/.stamp"
}
mkdir -p build/venv
# The light lists are complete, so --no-deps: nothing unpinned can slip in.
environment light tests/oracle/requirements.txt --no-deps
environment ort-1.17 tests/oracle/requirements-ort-1.17.txt --no-deps
environment runtimes tests/oracle/requirements-runtimes.txt --no-deps
environment clients tests/oracle/requirements-clients.txt --no-deps
environment python tests/python/requirements.txt --no-deps
environment adapters tests/python/requirements-adapters.txt --no-deps
environment databases tests/python/requirements-databases.txt --no-deps
# PySpark is published as source: pip makes its wheel, with what the list names.
PIP_CONSTRAINT=tests/python/requirements-engines.txt environment engines tests/python/requirements-engines.txt --no-deps
# The system's PyTorch, for the CPU, and the Python that it is made for: PyPI's brings several GB of GPU libraries.
system_site=$(/usr/bin/python3 -c 'import importlib.metadata as m; print(m.distribution("torch").locate_file(""))' 2>/dev/null) ||
  fail "/usr/bin/python3 has no PyTorch; get it with 'apt-get install python3-torch', or as your system calls it"
python=/usr/bin/python3 environment mteb tests/python/requirements-mteb.txt --no-deps
ln -sfn "$system_site"/torch "$system_site"/torch-*-info "$(echo build/venv/mteb/lib/python3*/site-packages)"/
# The package's test installs it without the network.
# Where there are newer Pythons, the wheel of the stable ABI is tried under them.
newer=()
for version in 3.12 3.13; do
  ! { command -v "python$version" || compgen -G "$HOME/.pyenv/versions/$version.*/bin/python$version"; } >/dev/null || newer+=("$version")
done
stamp="$(sha256sum tests/python/requirements-wheel.txt) ${newer[*]}"
if [ "$(cat build/wheels/.stamp 2>/dev/null)" != "$stamp" ]; then
  rm -rf build/wheels
  build/venv/python/bin/python -m pip download -q --disable-pip-version-check --no-deps \
    --only-binary :all: -d build/wheels -r tests/python/requirements-wheel.txt
  for version in "${newer[@]}"; do
    build/venv/python/bin/python -m pip download -q --disable-pip-version-check --no-deps --python-version "$version" \
      --only-binary :all: -d build/wheels "$(grep '^numpy==' tests/python/requirements-wheel.txt)"
  done
  echo "$stamp" >build/wheels/.stamp
fi
# Manual pages, the text that the databases' test searches: fetched, not installed.
manual_pages() { compgen -G 'build/download/manpages_*.deb' && compgen -G 'build/download/manpages-dev_*.deb'; }
if command -v apt-get >/dev/null && ! manual_pages >/dev/null; then
  echo "setup: manual pages"
  mkdir -p build/download
  fetch=(apt-get -qq -o APT::Sandbox::User=root download manpages manpages-dev)
  if ! (cd build/download && "${fetch[@]}") 2>/dev/null; then
    # There may be no lists of packages here, or old ones.
    { become_root && "${as_root[@]}" apt-get -qq update && (cd build/download && "${fetch[@]}"); } ||
      fail "could not download manpages and manpages-dev; get them with" \
        "  apt-get update && (cd build/download && apt-get download manpages manpages-dev)"
  fi
fi
if [ $oracles = 1 ]; then
  environment torch tests/oracle/requirements-torch.txt
fi
