#!/usr/bin/env bash
# Sets up, builds and runs all tests; ends with ctest's own summary and exit status.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
usage: scripts/test.sh [--asan | --tsan] [--oracles] [--quick] [ctest options...]

  --asan     the asan preset: everything again under AddressSanitizer and UBSan (real models are
             calibrated on fewer texts there)
  --tsan     the tsan preset: what runs on several threads, under ThreadSanitizer
  --oracles  with PyTorch: re-makes every golden, fails on a difference, and compares live
  --quick    no setup, and no tests labelled slow, oracle or install

A test fails when what it compares with (models, Python environments) is missing; run through ctest
alone, it is skipped. Tests that need the PyTorch of --oracles are skipped without.

Other options go to ctest: scripts/test.sh -R formats
TEXT
}

preset=dev oracles=0 quick=0 ctest_options=()
for argument in "$@"; do
  case $argument in
    --asan) preset=asan ;;
    --tsan) preset=tsan ;;
    --oracles) oracles=1 ;;
    --quick) quick=1 ;;
    -h | --help) usage && exit 0 ;;
    *) ctest_options+=("$argument") ;;
  esac
done

jobs=$(nproc)
python=$PWD/build/venv/light/bin/python
if [ $oracles = 1 ]; then
  python=$PWD/build/venv/torch/bin/python
fi
if [ $quick = 1 ]; then
  ctest_options+=(-LE 'slow|oracle|install')
elif [ $oracles = 1 ]; then
  scripts/setup.sh --oracles
else
  scripts/setup.sh
fi
scripts/fetch_models.sh
# Everything the tests compare with is here now; a test that does not find it fails instead of skipping.
export OCTAVO_REQUIRE_ORACLES=1
if [ $oracles = 1 ]; then
  export OCTAVO_REQUIRE_ORACLES=torch
fi

launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
# Build folders share what ccache keeps: paths below this one are relative for it, and the folder that a
# file is compiled in is not a part of what it is (the Python package's test compiles it all again).
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
# The Python package is tested as it is built for the dev preset: a sanitizer would have to be in the
# interpreter, too.
package=()
if [ $preset = dev ] && [ -x build/venv/python/bin/python ]; then
  package=(-DOCTAVO_PYTHON=ON -DPython_EXECUTABLE="$PWD/build/venv/python/bin/python" -DOCTAVO_WHEELS="$PWD/build/wheels")
fi
# The Rust crate is the same in every preset; one folder for all builds it once.
cmake --preset $preset "${launcher[@]}" "${package[@]}" -DOCTAVO_CARGO_TARGET_DIR="$PWD/build/rust" -DOCTAVO_MODELS="$PWD/build/models" \
  -DOCTAVO_ORACLE_PYTHON="$python" \
  -DOCTAVO_ORT_OLD_PYTHON="$PWD/build/venv/ort-1.17/bin/python" \
  -DOCTAVO_RUNTIMES_PYTHON="$PWD/build/venv/runtimes/bin/python" \
  -DOCTAVO_CLIENTS_PYTHON="$PWD/build/venv/clients/bin/python" >build/configure.log ||
  { cat build/configure.log && exit 1; }
cmake --build --preset $preset -j "$jobs"
ctest --preset $preset -j "$jobs" "${ctest_options[@]}"
