"""The K loops of the matrix products keep their accumulators in registers. GCC 12 is known to copy or
spill them around some intrinsics, which costs two thirds of the speed and no test of values sees.
Fails when an innermost loop with at least eight multiply-adds touches the stack with a vector
register, and when there are fewer such loops than the kernels have.
usage: no_spills.py OBJDUMP LEAST_LOOPS OBJECT..."""
import re
import subprocess
import sys

objdump, least, objects = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
PRODUCTS = re.compile(r"::(gemm|tile|rows|panel|block)_")
WORK = re.compile(r"^(vfmadd\w+ps|vpdpbusd|vpdpwssd|vpmaddwd)$")
bad, loops = [], 0
for path in objects:
    text = subprocess.run(
        [objdump, "-d", "--no-show-raw-insn", "-C", path], capture_output=True, text=True, check=True
    ).stdout
    function, code = "", []
    for line in text.splitlines() + ["0 <end>:"]:
        if head := re.match(r"^[0-9a-f]+ <(.*)>:$", line):
            ends = [i for i, (_, op, args) in enumerate(code) if op.startswith("j") and re.match(r"[0-9a-f]+ ", args)]
            starts = {address: i for i, (address, _, _) in enumerate(code)}
            spans = []
            for i in ends:
                target = starts.get(int(code[i][2].split()[0], 16))
                if target is not None and target <= i:
                    spans.append((target, i))
            if not PRODUCTS.search(function):
                spans = []
            # Innermost: no other loop lies inside.
            for first, last in spans:
                if any((f, l) != (first, last) and first <= f and l <= last for f, l in spans):
                    continue
                body = code[first : last + 1]
                if sum(bool(WORK.match(op)) for _, op, _ in body) < 8:
                    continue
                loops += 1
                for address, op, args in body:
                    if re.search(r"\(%r[sb]p", args) and re.search(r"%[xyz]mm", args):
                        bad.append(f"{path}: {function} at {address:x}: {op} {args}")
            function, code = head[1], []
        elif ins := re.match(r"^\s*([0-9a-f]+):\t(\S+)\s*(.*)$", line):
            code.append((int(ins[1], 16), ins[2], ins[3]))
print("\n".join(bad) or f"{loops} hot loops in {len(objects)} objects, none spills")
if loops < least:
    print(f"at least {least} hot loops were expected: did the kernels or this test change?")
sys.exit(bool(bad) or loops < least)
