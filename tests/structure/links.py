"""Every relative link in a Markdown file leads to a file that is there, and its anchor to a heading; so
does every path that a page names in backquotes. usage: links.py ROOT"""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
tracked = subprocess.run(
    ["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True
).stdout.split("\n")
top = {name.split("/")[0] for name in tracked if "/" in name}


def anchors(page):
    """As GitHub makes them: lower case, spaces to hyphens, other punctuation dropped."""
    titles = re.findall(r"^#+ +(.*?) *$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


bad, seen = [], 0
for name in tracked:
    page = root / name
    if page.suffix != ".md" or not page.is_file() or name.startswith("tests/golden/"):
        continue
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        seen += 1
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        if not there.exists():
            bad.append(f"{name}: {target}: no such file")
        elif anchor and anchor not in anchors(there):
            bad.append(f"{name}: {target}: no such heading")
    for path in re.findall(r"`([\w./-]+/[\w./-]+)`", text):
        if path.split("/")[0] in top:
            seen += 1
            if not (root / path).exists():
                bad.append(f"{name}: `{path}`: no such file")
print("\n".join(bad) or f"{seen} links and paths lead somewhere")
sys.exit(bool(bad))
