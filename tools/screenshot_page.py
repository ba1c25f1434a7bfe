#!/usr/bin/env python3
"""Pictures of the page of `octavo serve` for the documentation: the heat map on a light screen, the tokens on a dark one,
made by headless Chromium and stored with a palette, which keeps them small. Needs Pillow and a server that runs:

    octavo serve minilm-int8 &
    python3 tools/screenshot_page.py http://127.0.0.1:8080/ -o docs

writes docs/serve-compare-light.png and docs/serve-tokens-dark.png."""
import argparse
import pathlib
import threading
import urllib.request

from browser import Browser
from screenshot_report import small

LONG = ("Octavo reads a text as tokens, pieces of words. A model takes so many and no more: what stands behind its limit is never "
        "read, and most servers do not say so. ") * 9


def load(url, until):
    """Requests for the live lines to show."""
    body = b'{"input": ["how do I reset my password?", "the bank of the river", "fish swim near the shore"]}'
    n = 0
    while not until.wait(0.02 + 0.03 * (n // 40 % 3)):
        n += 1
        urllib.request.urlopen(urllib.request.Request(url + "v1/embeddings", body), timeout=60).read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("docs"))
    parser.add_argument("--width", type=int, default=1100)
    parser.add_argument("--height", type=int, default=860)
    parser.add_argument("--seconds", type=float, default=20, help="of requests before the first picture")
    parser.add_argument("--chromium", default="chromium", help="program")
    args = parser.parse_args()
    done = threading.Event()
    threading.Thread(target=load, args=(args.url, done), daemon=True).start()
    with Browser(args.chromium, args.width, args.height) as browser:
        browser.scheme("light")
        browser.open(args.url)
        done.wait(args.seconds)
        browser.click("#compare form button")
        browser.wait("!document.querySelector('#compare form button').disabled")
        shots = {"compare-light": browser.screenshot()}
        browser.scheme("dark")
        browser.click("#tab-tokens")
        browser.write("#tokens-text", LONG)
        browser.click("#tokens form button")
        browser.wait("document.querySelectorAll('#tokens-result del').length > 0")
        # Where the cut is.
        browser.value("document.querySelector('#tokens-result del').scrollIntoView({block: 'center'}); window.scrollTo(0, 0)")
        shots["tokens-dark"] = browser.screenshot()
    done.set()
    for name, png in shots.items():
        out = args.output / f"serve-{name}.png"
        out.write_bytes(small(png))
        print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
