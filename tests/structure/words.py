"""Nothing unfinished is marked in the tree, and text is ASCII where people type it: languages other
than English live in the files of texts only. usage: words.py ROOT"""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
listed = subprocess.run(
    ["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True
).stdout.split("\n")
suffixes = {".cc", ".h", ".inl", ".inc", ".py", ".rs", ".sh", ".cmake", ".md", ".toml"}
unfinished = re.compile(r"\b(TO" r"DO|FIX" r"ME|for n" r"ow|not implemented y" r"et|coming so" r"on)\b")
# Texts for models, and tests of what Unicode does.
other_languages = re.compile(r"src/toolkit/(calibration|probe)_.*|tests/.*|fuzz/.*|tools/.*|bench/.*")

bad = []
for name in listed:
    file = root / name
    if not file.is_file() or file.suffix not in suffixes or name.startswith("tests/golden/"):
        continue
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if word := unfinished.search(line):
            bad.append(f"{name}:{number}: {word[0]}")
        if not line.isascii() and not other_languages.fullmatch(name):
            bad.append(f"{name}:{number}: not ASCII: {line.strip()}")
print("\n".join(bad) or "no unfinished work is marked, and text is ASCII")
sys.exit(bool(bad))
