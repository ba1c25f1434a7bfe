"""Makes two files of real English text, a passage or a query a line, for trying search: examples/databases, and their test.

  passages   paragraphs of prose from Debian's manual pages, each once
  queries    one-line descriptions of pages, none of which is a passage

    python3 tools/make_passages.py -o passages.txt --queries queries.txt                   # fetches Debian packages with apt-get
    python3 tools/make_passages.py -o few.txt --queries queries.txt --count 1000 --packages debs

The same packages give the same bytes: what is taken, and its order, follows SHA-256 of the text.
"""
import argparse
import io
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

from make_retrieval_set import PACKAGES, Page, fetch, is_prose, order, source_of, width


def read_package(file, passages, queries):
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", file], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive.getmembers():
            if not member.isfile() or not re.match(r"\./usr/share/man/man[1-8]/", member.name):
                continue
            source = source_of(archive.extractfile(member).read())
            if source is None or re.match(r"\s*\.so\s", source):  # a second name of another page
                continue
            page = Page(source)
            if 12 <= width(page.description()) <= 160:
                queries.add(page.description())
            passages.update(p for _, paragraphs in page.sections[1:] for p in paragraphs if is_prose(p))


def write(file, texts, count, what):
    if count > len(texts):
        sys.exit(f"{file}: the packages have {len(texts)} {what}, {count} were asked for")
    lines = sorted(texts, key=lambda text: order(1, text))[:count]
    file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    print(f"{file}: {len(lines)} {what}, {sum(map(len, lines)) / len(lines):.0f} characters on average")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path, metavar="FILE", help="passages")
    parser.add_argument("--queries", required=True, type=pathlib.Path, metavar="FILE")
    parser.add_argument("--count", type=int, default=10000, help="passages (default: 10000)")
    parser.add_argument("--query-count", type=int, default=500, help="queries (default: 500)")
    parser.add_argument("--packages", type=pathlib.Path, metavar="DIR",
                        help="where *.deb files are or are fetched to (default: a temporary folder)")
    a = parser.parse_args()
    passages, queries = set(), set()
    with tempfile.TemporaryDirectory() as temporary:
        for file, _ in fetch(a.packages or pathlib.Path(temporary), PACKAGES["en"]).values():
            read_package(file, passages, queries)
    write(a.output, passages, a.count, "passages")
    write(a.queries, queries - passages, a.query_count, "queries")


if __name__ == "__main__":
    main()
