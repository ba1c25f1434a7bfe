"""Makes the texts by which settings of Octavo's own recipes are chosen (how factors are made, alpha), so that neither the probe
of `verify` nor calibration has to serve for that: none of them is in either.

  fortunes    quotations and jokes in twelve languages, a quarter of them a line
  iso-codes   names of countries, currencies, languages and scripts in 38 languages: one to five words
  apt-utils   messages of programs in as many
  code        functions of the library of the Python that runs this

    python3 tools/make_choosing_texts.py -o texts.jsonl       # fetches Debian packages with apt-get
    octavo verify model.int8.onnx --tokenizer fp32 --against fp32/model.onnx --texts texts.jsonl

The same packages and the same Python give the same bytes: what is taken, and its order, follows SHA-256 of the text.
"""
import argparse
import gettext
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

from make_retrieval_set import fetch

FORTUNES = {"en": "fortunes", **{l: f"fortunes-{l}" for l in ("bg", "br", "cs", "de", "eo", "es", "ga", "it", "pl", "ru", "zh")}}
LANGUAGES = ("de fr es it pt pl nl sv da cs ru uk el tr fi hu ro bg ja ko zh_CN zh_TW ar he hi bn ta th vi id fa sr hr lt lv et "
             ).split()
NAMES = {"iso_3166-1": 2, "iso_4217": 1, "iso_639-3": 1, "iso_15924": 1, "apt-utils": 5}  # texts a language
LENGTHS = ((3, 60, 10), (60, 200, 18), (200, 701, 10))  # from, to characters: texts a language of fortunes


def order(text):
    return hashlib.sha256(text.encode()).hexdigest()


def fortunes(folder):
    texts = set()
    for file in folder.glob("usr/share/games/fortunes/**/*"):
        if not file.is_file() or file.is_symlink() or file.suffix in (".dat", ".u8"):
            continue
        raw = file.read_bytes()
        try:
            source = raw.decode("utf-8")
        except UnicodeDecodeError:
            continue
        for text in source.split("\n%\n"):
            texts.add(re.sub(r"[ \t]*\n[ \t]*", " ", re.sub(r"\x1b\[[0-9;]*m", "", text)).strip())
    texts = sorted(texts, key=order)
    return [t for low, high, count in LENGTHS for t in [t for t in texts if low <= len(t) < high][:count]]


def names(folder):
    for language in LANGUAGES:
        for domain, count in NAMES.items():
            file = folder / f"usr/share/locale/{language}/LC_MESSAGES/{domain}.mo"
            if file.exists():
                with file.open("rb") as source:
                    known = gettext.GNUTranslations(source)._catalog.items()
                texts = {t.strip() for k, t in known if k and isinstance(t, str) and 2 < len(t) < 600 and "%" not in t}
                yield from (re.sub(r"\s+", " ", t) for t in sorted(texts, key=order)[:count])


def functions():
    found = set()
    for file in sorted(pathlib.Path(os.__file__).parent.glob("*.py")):
        for match in re.finditer(r"(?m)^(    )?def .*(\n(\1    .*|\s*))+", file.read_text(errors="ignore")):
            found.add(match.group(0).strip())
    return sorted((text for text in found if 60 < len(text) < 600), key=order)[:30]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path, metavar="FILE")
    args = parser.parse_args()
    texts = []
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        for name in [*FORTUNES.values(), "iso-codes", "apt-utils"]:
            for file, _ in fetch(work, [name]).values():
                subprocess.run(["dpkg-deb", "-x", file, work / name], check=True)
        for name in FORTUNES.values():
            texts += fortunes(work / name)
        (work / "names").mkdir()
        for name in ("iso-codes", "apt-utils"):
            subprocess.run(["cp", "-r", f"{work / name}/.", work / "names"], check=True)
        texts += names(work / "names")
    texts = sorted({*texts, *functions()}, key=order)
    with args.output.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    print(f"{args.output}: {len(texts)} texts, SHA-256 {hashlib.sha256(args.output.read_bytes()).hexdigest()[:8]}")


if __name__ == "__main__":
    main()
