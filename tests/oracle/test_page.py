"""GET /: one file that asks nobody but its server, under a policy that lets nothing else run; and the page in headless
Chromium, with real clicks and keys, against octavo embed."""
import base64
import hashlib
import json
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest
import tokenizers

from conftest import _absent
from serving import Server, model, offline

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from browser import Browser

TEXTS = ["how do I reset my password?", "cats and dogs", "<img src=x onerror=alert(1)>", "I forgot my login"]
LIMIT = 64  # tokens, of the tiny model


@pytest.fixture(scope="module")
def server(model):
    with Server(model, f"other={model}") as running:
        yield running


@pytest.fixture
def browser():
    if shutil.which("chromium") is None:
        _absent("no chromium here: scripts/setup.sh installs it")
    with Browser() as running:
        yield running


def test_the_page_is_one_file_under_a_strict_policy(server):
    status, headers, body = server.get("/")
    page = body.decode()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    for element in ("script", "style"):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'"
    assert {"base-uri", "form-action", "frame-ancestors"} <= set(policy) and "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    # No address of anybody else, but the name of a language.
    assert set(re.findall(r"[\w+.-]*://[^\s\"'<>)]*", page)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"(src|href|action)\s*=\s*[\"']?//|@import|\bon\w+\s*=|innerHTML|\beval\b", page)
    assert re.search(r'<html lang="en">', page) and page.count("<h1") == 1
    for field in re.findall(r"<(?:input|textarea|select)\b[^>]*\bid=\"([\w-]+)\"", page):
        assert f'for="{field}"' in page or re.search(rf'<label[^>]*><input[^>]*id="{field}"', page), field
    assert server.request("HEAD", "/")[0] == 200


def clean(browser, server):
    assert browser.errors == []
    assert {re.sub(r"^(\w+://[^/]*)/.*", r"\1", url) for url in browser.requests if not url.startswith("data:")} == {
        f"http://{server.host}:{server.port}"}


def open_page(browser, server):
    browser.open(f"http://{server.host}:{server.port}/")
    browser.wait("document.querySelectorAll('#compare-result td').length > 10")


def said(browser, panel):
    """Clicks the panel's button; what it says then."""
    browser.value(f"document.getElementById('{panel}-said').textContent = ''")
    browser.click(f"#{panel} form button")
    return browser.wait(f"document.getElementById('{panel}-said').textContent")


def test_texts_are_compared(browser, server, offline):
    open_page(browser, server)
    browser.write("#compare-texts", "\n".join(TEXTS))
    assert "Closest" in said(browser, "compare")
    vectors = offline(TEXTS).astype(np.float64)
    cells = browser.value("[...document.querySelectorAll('#compare-result tbody tr')].map("
                          "(r) => [...r.querySelectorAll('td')].map((c) => Number(c.textContent)))")
    np.testing.assert_allclose(cells, vectors @ vectors.T, atol=0.0051)
    names = browser.value("[...document.querySelectorAll('#compare-result tbody th')].map((c) => c.textContent)")
    assert [n.split(maxsplit=1)[1] for n in names] == TEXTS  # as text: nothing of it was run
    # Warmer cells are closer.
    heats = browser.value("[...document.querySelectorAll('#compare-result tbody td:not(.self)')].map("
                          "(c) => [Number(c.textContent), Number(c.style.getPropertyValue('--heat'))])")
    assert all(a[1] <= b[1] + 0.02 for a in heats for b in heats if a[0] < b[0])
    browser.write("#compare-texts", "one alone")
    assert "Two texts" in said(browser, "compare")
    assert browser.value("document.querySelectorAll('#compare-result td').length") == 0
    browser.write("#compare-texts", "a\n" + "b " * 500)
    assert f"text 2 was cut to {LIMIT} of 50" in said(browser, "compare")
    clean(browser, server)


def test_a_list_is_searched(browser, server, offline):
    open_page(browser, server)
    browser.click("#tab-search")
    assert browser.value("document.getElementById('compare').hidden")
    browser.write("#search-texts", "\n".join(TEXTS))
    browser.write("#query", "cats")
    assert "best first" in said(browser, "search")
    vectors = offline(["cats", *TEXTS]).astype(np.float64)
    scores = vectors[1:] @ vectors[0]
    assert browser.value("[...document.querySelectorAll('#search-result li span')].map((s) => s.textContent)") == [
        TEXTS[i] for i in np.argsort(-scores)]
    shown = browser.value("[...document.querySelectorAll('#search-result li b')].map((s) => Number(s.textContent))")
    np.testing.assert_allclose(shown, np.sort(scores)[::-1], atol=0.00051)
    clean(browser, server)


def test_tokens_and_what_is_cut(browser, server, model):
    open_page(browser, server)
    browser.click("#tab-tokens")
    text = " ".join(f"word{i}" for i in range(60))
    browser.write("#tokens-text", text)
    browser.click("#ids")
    assert "tokens cut" in said(browser, "tokens")
    oracle = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    oracle.no_padding()
    oracle.no_truncation()
    whole = oracle.encode(text).ids
    oracle.enable_truncation(LIMIT)
    kept = oracle.encode(text).ids
    tokens = browser.value("[...document.querySelectorAll('#tokens-result .token')].map("
                           "(t) => [Number(t.querySelector('small').textContent), t.localName, t.classList.contains('special')])")
    assert [t[0] for t in tokens] == whole
    assert [t[0] for t in tokens if t[1] != "del"] == kept
    assert [t[2] for t in tokens] == [True] + [False] * (len(whole) - 2) + [True]
    browser.write("#tokens-text", "short")
    assert "nothing is cut" in said(browser, "tokens")
    clean(browser, server)


def test_it_works_by_keyboard(browser, server):
    open_page(browser, server)
    browser.click("#tab-compare")
    for key, selected in (("ArrowRight", "search"), ("ArrowRight", "tokens"), ("ArrowRight", "compare"), ("ArrowLeft", "tokens"),
                          ("Home", "compare"), ("End", "tokens"), ("ArrowLeft", "search")):
        browser.key(key)
        assert browser.value("document.activeElement.id") == f"tab-{selected}"
        assert browser.value("[...document.querySelectorAll('[role=tabpanel]')].filter((p) => !p.hidden).map((p) => p.id)") == [
            selected]
    browser.key("Tab")
    assert browser.value("document.activeElement.id") == "search-texts"
    browser.key("Enter", control=True)
    browser.wait("document.querySelectorAll('#search-result li').length === 5")
    browser.key("Tab")
    assert browser.value("document.activeElement.id") == "query"
    browser.key("a", control=True)
    browser.call("Input.insertText", text="cash")
    browser.value("document.getElementById('search-result').replaceChildren()")
    browser.key("Enter")
    browser.wait("document.querySelectorAll('#search-result li').length === 5")
    clean(browser, server)


def test_facts_and_what_is_going_on(browser, server):
    open_page(browser, server)
    facts = browser.value("document.getElementById('facts').innerText")
    info = json.loads(server.get("/info")[2])["models"][0]
    for value in ("tiny", "36", "64 tokens", "mean", info["engine"]):
        assert value in facts
    assert browser.value("[...document.querySelectorAll('#model option')].map((o) => o.textContent)") == ["tiny", "other"]
    browser.value("document.getElementById('model').selectedIndex = 1;"
                  "document.getElementById('model').dispatchEvent(new Event('change'))")
    assert "other" in browser.value("document.getElementById('example').textContent")
    rate = "Number(document.querySelector('#live .gauge b').textContent.replace(/[^0-9]/g, ''))"
    browser.wait("document.querySelector('#live .gauge b').textContent !== '\\u2013'")
    for _ in range(100):
        assert server.post("/v1/embeddings", {"input": ["a b c d"] * 100})[0] == 200
        if browser.value(rate) > 0:
            break
    browser.wait("document.querySelector('#live .gauge:last-child b').textContent.match(/ms|60 s/)")
    assert browser.value("document.querySelector('#live polyline').getAttribute('points')")
    clean(browser, server)


def test_a_key_is_asked_for(browser, model, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("secret\n")
    with Server(model, "--api-key-file", keys) as server:
        browser.open(f"http://{server.host}:{server.port}/")
        browser.wait("!document.getElementById('key-form').hidden")
        assert "asks for an API key" in browser.value("document.getElementById('problem').textContent")
        assert browser.value("document.activeElement.id") == "key"
        browser.write("#key", "wrong")
        browser.key("Enter")
        browser.wait("document.getElementById('problem').textContent.includes('does not know')")
        browser.write("#key", "secret")
        browser.click("#key-form button")
        browser.wait("document.querySelectorAll('#compare-result td').length > 10")
        assert browser.value("document.getElementById('problem').hidden")
        assert "Bearer KEY" in browser.value("document.getElementById('example').textContent")
        assert "secret" not in browser.value("document.documentElement.outerHTML")


CONTRAST = """(() => {
  const parse = (text) => { const c = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(") ? [...c.slice(0, 3).map((v) => 255 * v), c[3] ?? 1] : [...c.slice(0, 3), c[3] ?? 1]; };
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; }
    return [255, 255, 255]; };
  return [...document.querySelectorAll("h1, h2, label, button, textarea, td, th, dt, dd, .hint, .said, a, pre, .gauge span")]
    .filter((e) => e.offsetParent !== null && e.textContent.trim() !== "").map((e) => {
      const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 120)]; }).sort((x, y) => x[0] - y[0])[0];
})()"""


def test_dark_and_light(browser, server):
    open_page(browser, server)
    grounds = {}
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        grounds[scheme] = sum(map(int, re.findall(r"\d+", browser.value("getComputedStyle(document.body).backgroundColor"))[:3]))
        ratio, where = browser.value(CONTRAST)
        assert ratio >= 4.5, (scheme, ratio, where)
    assert grounds["light"] > 600 and grounds["dark"] < 150
    for width in (360, 1180):
        browser.size(width, 800)
        assert browser.value("document.documentElement.scrollWidth") <= width
    clean(browser, server)
