#!/usr/bin/env python3
"""Semantic search over the lines of a text file, with nothing but the octavo program and plain Python:

    examples/search.py MODEL_FOLDER FILE QUERY...

Prints, for every query, the three lines that mean most nearly the same. OCTAVO names the program if it is not
on the PATH. The vectors have length 1, so a dot product is the cosine.
"""
import json
import os
import subprocess
import sys


def embed(model, texts):
    command = [os.environ.get("OCTAVO", "octavo"), "embed", model, "--json"]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line)["embedding"] for line in done.stdout.splitlines()]


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    model, file, *queries = sys.argv[1:]
    with open(file, encoding="utf-8") as f:
        texts = [line.strip() for line in f if line.strip()]
    vectors = embed(model, texts)
    for query, wanted in zip(queries, embed(model, queries)):
        scores = [sum(a * b for a, b in zip(wanted, vector)) for vector in vectors]
        print(query)
        for score, text in sorted(zip(scores, texts), reverse=True)[:3]:
            print(f"  {score:.3f}  {text}")


if __name__ == "__main__":
    main()
