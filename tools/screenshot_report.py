#!/usr/bin/env python3
"""Pictures of a report.html for the documentation, light and dark, made by headless Chromium (on Debian:
apt-get install chromium) and stored with a palette, which keeps them small.

    python3 tools/screenshot_report.py minilm-int8/report.html --name minilm -o docs

writes docs/report-minilm-light.png and docs/report-minilm-dark.png: the page from --from, a part of a heading, for
--height pixels. --print writes report-minilm.pdf instead, to look at. Needs Pillow."""
import argparse
import io
import pathlib
import re
import subprocess
import sys
import tempfile

CHROMIUM = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1")


def chromium(program, *options):
    done = subprocess.run([program, *CHROMIUM[1:], *map(str, options)], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit(f"{program}: {done.stderr[-2000:]}")


def dark(page):
    """The page as a dark screen shows it: its media query applied, as no option of Chromium does in every version."""
    return page.replace("@media screen and (prefers-color-scheme: dark)", "@media screen").replace("color-scheme: light dark",
                                                                                                  "color-scheme: dark")


def begin_at(page, heading):
    """Without the sections before the first h2 that has the words; the title stays."""
    if not heading:
        return page
    first = page.index("<h2>")
    found = re.search(r"<h2>[^<]*" + re.escape(heading), page)
    if not found:
        sys.exit(f"no heading has \"{heading}\"; there are: {', '.join(re.findall('<h2>([^<]*)', page))}")
    head = page.index("<h1>")
    return page[:head] + page[found.start():] if found.start() > first else page


def small(png):
    from PIL import Image

    # The method that keeps colours of few pixels: a curve is one.
    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("docs"))
    parser.add_argument("--from", dest="heading", default="", help="words of the heading to begin with")
    parser.add_argument("--width", type=int, default=900)
    parser.add_argument("--height", type=int, default=1500)
    parser.add_argument("--schemes", default="light,dark")
    parser.add_argument("--print", action="store_true", help="a PDF as it would be printed")
    parser.add_argument("--chromium", default="chromium", help="program")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    page = begin_at(args.page.read_text(encoding="utf-8"), args.heading)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "page.html")
        if args.print:
            file.write_text(page, encoding="utf-8")
            chromium(args.chromium, "--no-pdf-header-footer", f"--print-to-pdf={args.output / f'report-{args.name}.pdf'}", file.as_uri())
            return
        for scheme in args.schemes.split(","):
            file.write_text(dark(page) if scheme == "dark" else page, encoding="utf-8")
            shot = pathlib.Path(folder, "shot.png")
            chromium(args.chromium, f"--screenshot={shot}", f"--window-size={args.width},{args.height}", file.as_uri())
            out = args.output / f"report-{args.name}-{scheme}.png"
            out.write_bytes(small(shot.read_bytes()))
            print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
