#!/usr/bin/env bash
# From nothing to a semantic search: sets a Debian 12 machine up, builds the release program, turns two
# real models into INT8 folders that prove themselves, and searches a small text file with one of them.
# Ends with both quality tables, the search's result, where the reports are and how to serve. Safe to run again; then it takes a minute.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -gt 0 ]; then
  echo "usage: scripts/demo.sh    (everything it makes lies in build/)"
  [ "$1" = -h ] || [ "$1" = --help ] || exit 2
  exit 0
fi

step() { printf '\n== %s\n' "$*"; }

mkdir -p build # A clean clone has none, and the first log goes there.
step "Machine"
scripts/setup.sh --build-only
step "Program"
launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cmake --preset release "${launcher[@]}" -DOCTAVO_CARGO_TARGET_DIR="$PWD/build/rust" >build/configure.log ||
  { cat build/configure.log && exit 1; }
cmake --build --preset release -j "$(nproc)"
octavo=$PWD/build/release/octavo
"$octavo" --version
step "Models"
scripts/fetch_models.sh
du -sh build/models/minilm build/models/smollm2

# A build that fails, or whose gate does (exit 1), has said why in its tables: shown, not lost.
build() {
  local log=$1
  shift
  "$octavo" build "$@" >"$log" || { cat "$log" && exit 1; }
}

mkdir -p build/demo
# The probe's reference is what PyTorch computed from the untouched models (tools/dump_reference.py).
step "octavo build: all-MiniLM-L6-v2, a snapshot"
build build/demo/minilm.txt build/models/minilm -o build/demo/minilm-int8 \
  --reference tests/golden/reference/minilm.safetensors
step "octavo build: SmolLM2-135M, a GGUF"
build build/demo/smollm2.txt build/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf -o build/demo/smollm2-int8 \
  --reference tests/golden/reference/smollm2.safetensors

step "Quality: all-MiniLM-L6-v2"
cat build/demo/minilm.txt
step "Quality: SmolLM2-135M"
cat build/demo/smollm2.txt
step "Search in examples/notes.txt with the INT8 MiniLM"
OCTAVO=$octavo python3 examples/search.py build/demo/minilm-int8 examples/notes.txt \
  "I forgot how to log in" "global warming in the mountains" "my coffee is not good"
step "Reports, to open in a browser"
ls build/demo/minilm-int8/report.html build/demo/smollm2-int8/report.html
step "Serve it: clients of OpenAI, text-embeddings-inference and Ollama, and a page at http://127.0.0.1:8080/"
echo "build/release/octavo serve build/demo/minilm-int8 --port 8080"
