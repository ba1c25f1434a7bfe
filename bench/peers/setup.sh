#!/usr/bin/env bash
# Everything that run.py needs, under one folder: an environment an engine, with pinned versions, and for each model its
# FP32 and INT8 form and the engines' own files. What is there already is kept.
#
#   bench/peers/setup.sh OCTAVO WORK [MODEL...]      MODEL: qwen3 minilm smollm2 (the default: all)
#
# OCTAVO is the program. MiniLM and SmolLM2 come from scripts/fetch_models.sh. llama-cpp-python compiles llama.cpp for
# this machine (seven minutes on two cores). About 12 GB of disk, half of it PyTorch's environment.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
octavo=$(realpath "$1")
mkdir -p "$2"
work=$(realpath "$2")
shift 2
[ $# -gt 0 ] || set -- qwen3 minilm smollm2
here=$(cd "$(dirname "$0")" && pwd)
root=$(realpath "$here/../..")

for engine in onnxruntime openvino llama_cpp torch; do
  if [ ! -e "$work/venvs/$engine/.ready" ]; then
    python3 -m venv "$work/venvs/$engine"
    "$work/venvs/$engine/bin/pip" install --quiet -r "$here/$engine/requirements.txt"
    touch "$work/venvs/$engine/.ready"
  fi
done

for model in "$@"; do
  folder=$work/$model
  mkdir -p "$folder"
  case $model in
    qwen3)
      [ -d "$folder/snapshot" ] ||
        "$work/venvs/onnxruntime/bin/python" "$root/tools/make_bench_model.py" "$folder/snapshot" ;;
    *)
      "$root/scripts/fetch_models.sh"
      ln -sfn "$root/build/models/$model" "$folder/snapshot" ;;
  esac
  if [ ! -e "$folder/fp32/model.onnx" ]; then
    source=$(find "$folder/snapshot/" -name '*.gguf' -print -quit)
    "$octavo" import "${source:-$folder/snapshot}" -o "$folder/fp32" > /dev/null
  fi
  if [ ! -e "$folder/int8/model.int8.onnx" ]; then
    mkdir -p "$folder/int8"
    (cd "$folder/fp32" && find . -type f ! -name 'model.onnx*' -exec cp --parents {} ../int8 ';')
    "$octavo" quantize "$folder/fp32/model.onnx" "$folder/int8/model.int8.onnx" --per-channel --external-data > /dev/null
  fi
  for engine in onnxruntime openvino llama_cpp torch; do
    [ -e "$folder/peers/$engine/.ready" ] && continue
    "$work/venvs/$engine/bin/python" "$here/worker.py" "$engine" --prepare --root "$folder"
    touch "$folder/peers/$engine/.ready"
  done
done
