"""Every `octavo ...` and scripts/... line in a code block of the pages is one that the program and the
scripts understand: the command exists, and so does each of its flags. usage: documented_commands.py ROOT PROGRAM"""
import functools
import pathlib
import re
import subprocess
import sys

root, program = pathlib.Path(sys.argv[1]), sys.argv[2]


@functools.cache
def help_of(command):
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.stdout if done.returncode == 0 else None


commands = set(re.findall(r"^  (\w+)  ", help_of((program,)).split("Subcommands:")[1], re.M))
bad, seen = [], 0
for page in sorted([*root.glob("*.md"), *root.glob("docs/*.md")]):
    for block in re.findall(r"^```(?:sh|console)?\n(.*?)^```", page.read_text(), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = re.sub(r"#.*", "", line).removeprefix("$ ").split()
            words = words[words.index("|") + 1:] if words[:1] == ["cat"] and "|" in words else words
            if not words:
                continue
            if words[0] in ("octavo", "build/release/octavo"):
                command = (program, *([words[1]] if len(words) > 1 and words[1][0] != "-" else []))
            elif words[0].startswith("scripts/"):
                command = (str(root / words[0]),)
            else:
                continue
            seen += 1
            text = help_of(command)
            if text is None or (command[0] == program and len(command) > 1 and command[1] not in commands):
                bad.append(f"{page.name}: no such command: {line.strip()}")
                continue
            for flag in (w.split("=")[0] for w in words[1:] if re.match(r"--?[a-z]", w)):
                if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text):
                    bad.append(f"{page.name}: {' '.join(words[:2])} has no {flag}")
print("\n".join(bad) or f"{seen} documented commands exist")
sys.exit(bool(bad) or seen == 0)
