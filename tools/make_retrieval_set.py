"""Makes a hard multilingual retrieval set for `octavo evaluate` from manual pages.

  document  a body paragraph of a page (its first section after name and synopsis)
  query     the page's one-line description, of the same language ("same") or of a language in which no
            document of that page is in the set ("cross")
  relevant  every document of the page that the query describes, in whichever language

    tools/make_retrieval_set.py -o manpages.jsonl                      # fetches Debian packages with apt-get
    tools/make_retrieval_set.py -o small.jsonl --folder en=man/en --folder de=man/de

The same packages (or folders) give the same bytes: choices follow SHA-256 of names, never the order of files.
The first line of the set holds its name and what it was made from, with version and SHA-256 of each package;
--pin FILE (an earlier set) refuses other packages. Pages of manual sections 1-8 in roff's man and mdoc macros.
"""
import argparse
import collections
import gzip
import hashlib
import io
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import unicodedata

PACKAGES = {
    "en": ["manpages", "manpages-dev"], "de": ["manpages-de"], "es": ["manpages-es", "manpages-es-dev"],
    "fr": ["manpages-fr"], "it": ["manpages-it", "manpages-it-dev"], "ja": ["manpages-ja"], "pl": ["manpages-pl"],
    "pt": ["manpages-pt-br", "manpages-pt-br-dev"], "ru": ["manpages-ru", "manpages-ru-dev"], "zh": ["manpages-zh"],
}
# The folder below usr/share/man; the traditional Chinese pages are the simplified ones again, converted.
FOLDERS = {"en": "", "pt": "pt_BR", "zh": "zh_CN"}
SHORTEST, LONGEST = 110, 900  # characters of a paragraph; a Han or kana character counts as two
CHARACTERS = {  # roff's named characters that prose uses
    "em": "\u2014", "en": "\u2013", "hy": "-", "aq": "'", "dq": '"', "lq": "\u201c", "rq": "\u201d", "oq": "\u2018",
    "cq": "\u2019", "bu": "\u2022", "co": "\u00a9", "rs": "\\", "ti": "~", "ha": "^", "ga": "`", "mu": "\u00d7",
    "+-": "\u00b1", "<=": "\u2264", ">=": "\u2265", "!=": "\u2260", "->": "\u2192", "Fo": "\u00ab", "Fc": "\u00bb",
    "at": "@", "sh": "#", "Do": "$", "ss": "\u00df", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "la": "<",
    "ra": ">", "sl": "/", "mi": "-", "pl": "+", "**": "*", "bv": "|", "ba": "|", "or": "|", "12": "\u00bd",
}
WIDE = "[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]"
ALTERNATING = {"BR", "RB", "BI", "IB", "IR", "RI"}
FONTS = {"B", "I", "SM", "SB", "R"}
# mdoc: macros whose arguments are words of the sentence, and the punctuation some of them add.
MDOC_WORDS = {"Nm", "Fl", "Ar", "Pa", "Xr", "Em", "Sy", "Li", "Ev", "Va", "Vt", "Fn", "Fa", "Cm", "Dv", "Er", "Ic",
              "Tn", "Ql", "Dq", "Sq", "Op", "Pq", "Nx", "Fx", "Ox", "Bx", "Ux", "At", "St", "No", "Ns", "Ad", "An"}


def unescape(text):
    text = re.sub(r'(?<!\\)\\"(.*)$', "", text)
    text = re.sub(r"\\f(\[[^]]*\]|\(..|.)", "", text)
    text = re.sub(r"\\s(\[[^]]*\]|[+-]?\d)", "", text)
    text = re.sub(r"\\[mM](\[[^]]*\]|\(..|.)", "", text)
    text = re.sub(r"\\\[u([0-9A-F]{4,6})\]", lambda m: chr(int(m[1], 16)), text)
    text = re.sub(r"\\\[([^]]*)\]|\\\((..)", lambda m: CHARACTERS.get(m[1] or m[2], ""), text)
    text = re.sub(r"\\\*(\[[^]]*\]|\(..|.)", "", text)
    text = re.sub(r"\\[hvwblLoDNx]'[^']*'", "", text)
    text = re.sub(r"\\[&/,:%!)c|^0~ ]", lambda m: " " if m[0][1] in "0~ " else "", text)
    text = text.replace("\\-", "-").replace("\\e", "\\").replace("\\'", "'").replace("\\`", "`").replace("\\.", ".")
    return text


def arguments(text):
    """Of a macro: words, quoted ones whole."""
    return [a[1:-1].replace('""', '"') if a[:1] == '"' and a[-1:] == '"' and len(a) > 1 else a
            for a in re.findall(r'"(?:[^"]|"")*"|(?:\\.|\S)+', text)]


class Page:
    """Sections of one page: [(title, [paragraph, ...])]; code and tables are left out."""

    def __init__(self, source):
        self.sections, self.words, self.skip_until, self.plain = [], [], "", True
        self.tagged = False  # the next line is a tag (.TP, .It) and no prose
        for line in re.sub(r"\\\n", "", source).split("\n"):
            self.line(line.rstrip())
        self.flush()

    def flush(self):
        text = " ".join(" ".join(self.words).split())
        text = re.sub(f"(?<={WIDE}) (?={WIDE})", "", text)  # where a line of Japanese or Chinese ended
        self.words = []
        if text and self.sections:
            self.sections[-1][1].append(text)

    def line(self, line):
        if self.skip_until:
            if re.match(self.skip_until, line):
                self.skip_until = ""
            return
        macro = re.match(r"[.'][ \t]*([A-Za-z]+|\\\")[ \t]*(.*)", line)
        if not macro:
            if line[:1] in ".'" or line.startswith((" ", "\t")):
                return self.flush()  # a control line without a macro; or a line that roff breaks
            if line == "":
                return self.flush()
            if self.tagged:
                self.tagged = False
            elif self.plain:
                self.words.append(unescape(line))
            return
        name, rest = macro[1], macro[2]
        if name in ("SH", "Sh", "SS", "Ss"):
            self.flush()
            self.plain, self.tagged = True, False
            title = " ".join(unescape(a) for a in arguments(rest))
            if name in ("SH", "Sh"):
                self.sections.append((title, []))
        elif name in ("PP", "P", "LP", "Pp", "sp", "br", "RS", "RE", "HP", "IP", "Bl", "El", "Lp"):
            self.flush()
        elif name in ("TP", "TQ", "It"):
            self.flush()
            self.tagged = name != "It"
        elif name in ("nf", "EX", "Bd", "DS"):
            self.flush()
            self.plain = False
        elif name in ("fi", "EE", "Ed", "DE"):
            self.plain = True
        elif name in ("TS", "ig", "de", "EQ", "PS"):
            self.flush()
            self.skip_until = {"TS": r"\.TE", "EQ": r"\.EN", "PS": r"\.PE"}.get(name, r"\.\.")
        elif not self.plain:
            return
        elif name == "Nd":
            self.words.append("- " + unescape(rest))
        elif name in ALTERNATING or name in FONTS or name in MDOC_WORDS:
            if self.tagged:
                self.tagged = False
                return
            parts = [unescape(a) for a in arguments(rest)]
            if name in MDOC_WORDS:
                parts = [p for p in parts if p not in MDOC_WORDS]
                if name == "Xr" and len(parts) > 1:
                    parts[:2] = [f"{parts[0]}({parts[1]})"]
                if name == "Fl":
                    parts = ["-" + p if re.match(r"\w", p) else p for p in parts]
            self.words.append(("" if name in ALTERNATING else " ").join(parts))

    def description(self):
        """What follows the dash in the first section, "" when there is none."""
        if not self.sections:
            return ""
        text = " ".join(self.sections[0][1])
        parts = re.split(r"\s(?:-+|[\u2013\u2014])\s|\s?[\u2013\u2014]\s?", text, maxsplit=1)
        return parts[1].strip() if len(parts) == 2 else ""

    def body(self):
        """Paragraphs of prose in the first section after the name that has any; a synopsis has none."""
        for _, paragraphs in self.sections[1:4]:  # what comes later is authors, licence, see also
            good = [p for p in paragraphs if is_prose(p)]
            if good:
                return good
        return []


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def is_prose(text):
    if not SHORTEST <= width(text) <= LONGEST:
        return False
    letters = sum(c.isalpha() or c.isspace() for c in text)
    return letters >= 0.8 * len(text) and not re.search(r"\\|@|https?:", text)  # no credits of translators


def script_fits(language, text):
    """Pages that nobody translated lie in the folders of their languages in English."""
    han = sum("\u3400" <= c <= "\u9fff" for c in text)
    kana = sum("\u3040" <= c <= "\u30ff" for c in text)
    cyrillic = sum("\u0400" <= c <= "\u04ff" for c in text)
    letters = max(1, sum(c.isalpha() for c in text))
    return {"ja": (kana + han) > 0.3 * letters and kana > 0, "zh": han > 0.3 * letters and kana == 0,
            "ru": cyrillic > 0.4 * letters}.get(language, (han + kana + cyrillic) < 0.1 * letters
                                                and (language == "en") == is_english(text))


def is_translated(language, description):
    """A description is too short for is_english(), which wants sentences."""
    return language == "en" or language not in ("ja", "zh", "ru") or script_fits(language, description)


def is_english(text):
    words = re.findall(r"\w+", text.lower())
    return sum(w in ("the", "of", "is", "and", "to", "with", "this") for w in words) > 0.08 * len(words)


def source_of(data):
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return None


def add_page(pages, language, name, data):
    found = re.fullmatch(r"(.+)\.([1-8])[a-z]*(\.gz)?", name)
    source = source_of(data) if found else None
    if source is None or re.match(r"\s*\.so\s", source):
        return
    page = Page(source)
    description, body = page.description(), page.body()
    body = [p for p in body if script_fits(language, p)]
    if body and 12 <= width(description) <= 160 and is_translated(language, description):
        pages[language].setdefault(f"{found[1]}.{found[2]}", (description, body))


def read_folder(pages, language, folder):
    for file in sorted(pathlib.Path(folder).rglob("*")):
        if file.is_file() and re.search(r"\.[1-8][a-z]*(\.gz)?$", file.name):
            add_page(pages, language, file.name, file.read_bytes())


def read_package(pages, language, file):
    below = "./usr/share/man/" + (FOLDERS.get(language, language) + "/" if FOLDERS.get(language, language) else "")
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", file], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            inside = member.name[len(below):]
            if member.isfile() and member.name.startswith(below) and re.match(r"man[1-8]/", inside):
                add_page(pages, language, inside.split("/")[1], archive.extractfile(member).read())


def fetch(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    missing = [n for n in names if not list(folder.glob(f"{n}_*.deb"))]
    if missing:
        subprocess.run(["apt-get", "-qq", "download", *missing], cwd=folder, check=True)
    found = {}
    for name in names:
        files = sorted(folder.glob(f"{name}_*.deb"))
        if len(files) != 1:
            sys.exit(f"{folder}: holds {len(files)} versions of {name}, needs one")
        version = subprocess.run(["dpkg-deb", "-f", files[0], "Version"], check=True, capture_output=True, text=True)
        found[name] = (files[0], {"package": name, "version": version.stdout.strip(),
                                  "sha256": hashlib.sha256(files[0].read_bytes()).hexdigest()})
    return found


def order(seed, what):
    return hashlib.sha256(f"{seed}/{what}".encode()).digest()


def choose(pages, a):
    """Documents and queries; every choice follows the order of hashes."""
    documents, of_page, seen = [], collections.defaultdict(list), set()
    chosen = {}
    for language in sorted(pages):
        names = sorted(pages[language], key=lambda n: order(a.seed, f"{language}/{n}"))
        chosen[language] = []
        for name in names:
            fresh = [p for p in pages[language][name][1] if p not in seen][:a.paragraphs]
            if not fresh or len(chosen[language]) == a.pages:
                continue
            chosen[language].append(name)
            for number, text in enumerate(fresh, 1):
                seen.add(text)
                of_page[name].append(f"{language}/{name}/{number}")
                documents.append({"document": of_page[name][-1], "language": language, "text": text})
    queries, asked = [], set()
    for language in sorted(pages):
        # A description that several pages share asks for none of them.
        counts = collections.Counter(d for d, _ in pages[language].values())
        other = [n for n in pages[language] if n not in chosen[language] and of_page.get(n)]
        other.sort(key=lambda n: order(a.seed, f"cross/{language}/{n}"))
        for kind, names, most in (("same", chosen[language], a.queries), ("cross", other, a.cross)):
            taken = 0
            for name in names:
                text = pages[language][name][0]
                if taken == most or counts[text] > 1 or (language, text) in asked:
                    continue
                asked.add((language, text))
                taken += 1
                queries.append({"query": f"{language}/{name}", "language": language, "kind": kind, "text": text,
                                "relevant": sorted(of_page[name])})
    return documents, queries


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path)
    parser.add_argument("--folder", action="append", default=[], metavar="LANGUAGE=DIR",
                        help="pages of a language, instead of Debian's packages; repeat")
    parser.add_argument("--packages", type=pathlib.Path, metavar="DIR",
                        help="where *.deb files are or are fetched to (default: a temporary folder)")
    parser.add_argument("--pin", type=pathlib.Path, metavar="SET", help="refuse other packages than this set was made of")
    parser.add_argument("--pages", type=int, default=250, help="most pages of a language with documents")
    parser.add_argument("--paragraphs", type=int, default=2, help="most documents of a page and language")
    parser.add_argument("--queries", type=int, default=70, help="most queries of a language about its own documents")
    parser.add_argument("--cross", type=int, default=20, help="most queries of a language about others' documents")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    pages, sources = collections.defaultdict(dict), []
    if a.folder:
        for given in sorted(a.folder):
            language, equals, folder = given.partition("=")
            if not equals or not pathlib.Path(folder).is_dir():
                parser.error(f"--folder {given}: needs LANGUAGE=DIR with a folder that is there")
            read_folder(pages, language, folder)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            names = [n for of_language in PACKAGES.values() for n in of_language]
            packages = fetch(a.packages or pathlib.Path(temporary), names)
            sources = [packages[n][1] for n in sorted(packages)]
            if a.pin:
                pinned = json.loads(a.pin.read_text(encoding="utf-8").split("\n", 1)[0])["sources"]
                if pinned != sources:
                    sys.exit(f"{a.pin}: was made of other packages:\n  " +
                             "\n  ".join(f"{p['package']} {p['version']}" for p in pinned if p not in sources))
            for language, of_language in PACKAGES.items():
                for name in of_language:
                    read_package(pages, language, packages[name][0])
    documents, queries = choose(pages, a)
    if not queries:
        sys.exit("no page with a description and a paragraph of prose in it: nothing to ask; nothing was written")
    head = {"format": "octavo-retrieval-1", "name": a.output.name.split(".")[0], "sources": sources}
    lines = [json.dumps(line, ensure_ascii=False, sort_keys=True) for line in (head, *documents, *queries)]
    a.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for language in sorted(pages):
        print(f"{language}: {len(pages[language])} pages, {sum(d['language'] == language for d in documents)} documents, "
              f"{sum(q['language'] == language for q in queries)} queries")
    print(f"{len(documents)} documents, {len(queries)} queries")


if __name__ == "__main__":
    main()
