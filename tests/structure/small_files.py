"""No hand-written source file is longer than 800 lines, and the root stays on one screen (20 entries).
usage: small_files.py ROOT"""
import pathlib
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
listed = subprocess.run(
    ["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True
).stdout.split("\n")
bad = []
for name in listed:
    file = root / name
    if file.suffix in {".cc", ".h", ".py", ".rs", ".sh", ".cmake"} and file.is_file():
        lines = len(file.read_text().splitlines())
        if lines > 800:
            bad.append(f"{name}: {lines} lines, 800 are the limit")
entries = {name.split("/")[0] for name in listed if name and (root / name).exists()}
if len(entries) > 20:
    bad.append(f"{len(entries)} entries at the root, 20 are the limit: {sorted(entries)}")
print("\n".join(bad) or f"{len(listed)} files, {len(entries)} entries at the root")
sys.exit(bool(bad))
