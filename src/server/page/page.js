"use strict";
const at = (id) => document.getElementById(id);
const MOST_COMPARED = 40;  // texts of a table that people can still read
const EVERY = 2000;        // milliseconds between looks at /metrics
const SHOWN = 60;          // points of a line

let key = "";
let models = [];
let version = "";

// An element with text and children; nothing here is ever parsed as HTML.
function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function showProblem(text) {
  at("problem").textContent = text;
  at("problem").hidden = text === "";
}

// What the server says, or an error with its own words.
async function ask(path, body) {
  const headers = key === "" ? {} : { Authorization: `Bearer ${key}` };
  const options = body === undefined ? { headers } : {
    method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer.");
  }
  const text = await answer.text();
  if (answer.ok) return text;
  if (answer.status === 401) {
    at("key-form").hidden = false;
    throw new Error(key === "" ? "This server asks for an API key." : "The server does not know this key.");
  }
  let said = text;
  try {
    const { error } = JSON.parse(text);
    said = error.message ?? error;
  } catch { /* not JSON: as it is */ }
  throw new Error(`${answer.status}: ${said}`);
}

const model = () => models[at("model").selectedIndex];
const linesOf = (area) => area.value.split("\n").map((l) => l.trim()).filter((l) => l !== "");
const plural = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;

// Vectors of the texts, and a sentence about those that were cut.
async function embed(texts, type) {
  const request = { model: model().name, input: texts, truncate: true, encoding_format: "base64" };
  if (type) request.input_type = type;
  const answer = JSON.parse(await ask("v1/embeddings", request));
  const vectors = answer.data.map((d) => {
    const bytes = Uint8Array.from(atob(d.embedding), (c) => c.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  });
  const cut = (answer.truncated ?? []).map((c) => `text ${c.index + 1} was cut to ${c.used} of ${c.tokens} tokens`);
  return { vectors, tokens: answer.usage.total_tokens, cut: cut.length ? ` ${cut.join(", ")}.` : "" };
}

function cosine(a, b) {
  let ab = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb);
}

// Runs the work of a form, says how it went, and keeps a second click from running it twice.
function onSubmit(panel, work) {
  const form = at(panel).querySelector("form");
  const button = form.querySelector("button");
  const said = at(`${panel}-said`);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    said.classList.remove("bad");
    const start = performance.now();
    try {
      const sentence = await work();
      said.textContent = `${sentence} ${Math.round(performance.now() - start)} ms.`;
      showProblem("");
    } catch (error) {
      said.textContent = error.message;
      said.classList.add("bad");
      at(`${panel}-result`).replaceChildren();
      if (!at("key-form").hidden) at("key").focus();
    }
    button.disabled = false;
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
}

function heat(element, share) {
  element.style.setProperty("--heat", Math.min(1, Math.max(0, share)).toFixed(3));
  return element;
}

onSubmit("compare", async () => {
  const texts = linesOf(at("compare-texts"));
  if (texts.length < 2) throw new Error("Two texts at least, one a line.");
  if (texts.length > MOST_COMPARED) throw new Error(`${texts.length} texts; a table holds ${MOST_COMPARED} at most.`);
  const { vectors, tokens, cut } = await embed(texts);
  const cosines = vectors.map((a) => vectors.map((b) => cosine(a, b)));
  let low = 1, best = [0, 1];
  for (let i = 0; i < texts.length; ++i) {
    for (let j = 0; j < i; ++j) {
      low = Math.min(low, cosines[i][j]);
      if (cosines[i][j] > cosines[best[0]][best[1]]) best = [j, i];
    }
  }
  low = Math.min(0.9, Math.floor(low * 10) / 10);
  const caption = make("caption", {}, `Cosine  ${low.toFixed(1)}`, make("span", { className: "scale" }), "1.0");
  const table = make("table", {}, caption);
  const head = make("tr", {}, make("td", { className: "self" }));
  texts.forEach((text, i) => head.append(make("th", { scope: "col", textContent: String(i + 1), title: text })));
  table.append(make("thead", {}, head));
  const body = make("tbody");
  texts.forEach((text, i) => {
    const row = make("tr", {}, make("th", { scope: "row", title: text }, make("b", {}, `${i + 1}  `), text));
    cosines[i].forEach((value, j) => {
      const share = (value - low) / (1 - low);
      const cell = make("td", { textContent: value.toFixed(2), title: `${i + 1} and ${j + 1}: ${value.toFixed(4)}` });
      if (i === j) cell.className = "self";
      row.append(i === j ? cell : heat(cell, share));
    });
    body.append(row);
  });
  table.append(body);
  at("compare-result").replaceChildren(table);
  return `Closest: ${best[0] + 1} and ${best[1] + 1} (${cosines[best[0]][best[1]].toFixed(2)}).${cut} ` +
    `${plural(tokens, "token")},`;
});

onSubmit("search", async () => {
  const texts = linesOf(at("search-texts"));
  if (texts.length === 0) throw new Error("A text at least, one a line.");
  const [query, list] = await Promise.all([embed([at("query").value], "query"), embed(texts, "document")]);
  const hits = list.vectors.map((v, i) => [cosine(query.vectors[0], v), i]).sort((a, b) => b[0] - a[0]);
  at("search-result").replaceChildren(...hits.map(([score, i]) => make("li", {},
    make("b", {}, score.toFixed(3)), make("span", {}, texts[i]),
    make("div", { className: "bar" }, heat(make("i"), score)))));
  return `${plural(texts.length, "text")}, best first.${list.cut} ${plural(list.tokens + query.tokens, "token")},`;
});

onSubmit("tokens", async () => {
  const limit = model().max_input_length;
  const [tokens] = JSON.parse(await ask("tokenize", { model: model().name, inputs: at("tokens-text").value }));
  // The tokens that are added always stay; of the text's own, those at the end go.
  const added = tokens.filter((t) => t.special).length;
  let left = limit - added;
  let cut = 0;
  at("tokens-result").replaceChildren(...tokens.map((token) => {
    const gone = !token.special && left-- <= 0;
    if (gone) ++cut;
    const chip = make(gone ? "del" : "span", { className: `token${token.special ? " special" : gone ? " cut" : ""}` },
      token.text.replaceAll(" ", "\u00b7").replaceAll("\n", "\u21b5") || "\u2205");
    if (at("ids").checked) chip.append(make("small", {}, String(token.id)));
    return make("li", { title: `id ${token.id}` }, chip);
  }));
  at("legend").hidden = false;
  const fate = cut === 0 ? "nothing is cut" : `${plural(cut, "token")} cut`;
  return `${plural(tokens.length, "token")}, ${added} of them added; the limit is ${limit}: ${fate}.`;
});

// Tabs as keyboards expect them: one stop for Tab, arrows inside.
const tabs = [...document.querySelectorAll("[role=tab]")];
function select(tab) {
  for (const each of tabs) {
    const on = each === tab;
    each.setAttribute("aria-selected", String(on));
    each.tabIndex = on ? 0 : -1;
    at(each.getAttribute("aria-controls")).hidden = !on;
  }
}
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    select(next);
    next.focus();
  });
});

function showModel() {
  const it = model();
  const megabytes = (it.bytes / 1e6).toLocaleString("en", { maximumFractionDigits: it.bytes < 1e7 ? 2 : 0 });
  const facts = {
    Name: it.name, Dimensions: it.dimensions, Limit: plural(it.max_input_length, "token"), Weights: it.dtype,
    Size: `${megabytes} MB`, Pooling: it.pooling, Normalized: it.normalize ? "yes" : "no",
    Prompts: it.prompts.join(", ") || "none", Engine: it.engine,
  };
  at("facts").replaceChildren(...Object.entries(facts).flatMap(
    ([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]));
  const url = new URL("v1/embeddings", location.href);
  at("example").textContent = `curl ${url} \\\n${key === "" ? "" : "  -H 'Authorization: Bearer KEY' \\\n"}` +
    `  -d '{"model": "${it.name}",\n       "input": "hello"}'`;
}
at("model").addEventListener("change", showModel);

// "name{labels} value" lines of the Prometheus text, as [name, labels, value].
const readMetrics = (text) => text.split("\n").flatMap((line) => {
  const found = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
  return found ? [[found[1], found[2] ?? "", Number(found[3])]] : [];
});

// Of looking, not of working.
const QUIET = /path="(?:\/metrics|\/health|\/info|\/openapi\.json|other)"/;

// What a moment's counters are.
function momentOf(text) {
  const moment = { time: performance.now() / 1000, tokens: 0, texts: 0, busy: 0, waiting: 0, requests: 0, buckets: new Map() };
  const sums = { octavo_tokens_total: "tokens", octavo_texts_total: "texts", octavo_batch_seconds_sum: "busy",
    octavo_queue_tokens: "waiting" };
  for (const [name, labels, value] of readMetrics(text)) {
    if (sums[name]) moment[sums[name]] = value;
    if (QUIET.test(labels)) continue;
    if (name === "octavo_requests_total") moment.requests += value;
    if (name === "octavo_request_seconds_bucket") {
      const bound = Number(/le="([^"]*)"/.exec(labels)[1].replace("+Inf", "Infinity"));
      moment.buckets.set(bound, (moment.buckets.get(bound) ?? 0) + value);
    }
  }
  return moment;
}

// The bound below which 95 of 100 requests between two moments stayed.
function slow(from, to) {
  const counts = [...to.buckets].map(([bound, n]) => [bound, n - (from.buckets.get(bound) ?? 0)]).sort((a, b) => a[0] - b[0]);
  const all = counts.length ? counts[counts.length - 1][1] : 0;
  const found = counts.find(([, n]) => n >= 0.95 * all);
  return all === 0 || !found ? null : found[0];
}

const rate = (what) => (from, to) => (to[what] - from[what]) / (to.time - from.time);
const whole = (n) => Math.round(n).toLocaleString("en");
const GAUGES = [
  ["Tokens a second", rate("tokens"), whole], ["Texts a second", rate("texts"), whole],
  ["Requests a second", rate("requests"), (n) => n.toFixed(1)],
  ["Model busy", rate("busy"), (n) => `${Math.min(100, Math.round(100 * n))}%`],
  ["Tokens waiting", (_, to) => to.waiting, whole],
  ["95% answered within", null, (n) => (n === null ? "\u2013" : n === Infinity ? "> 60 s" : `${n * 1000} ms`)],
].map(([name, value, words]) => {
  const shown = make("b", {}, "\u2013");
  const box = make("div", { className: "gauge" }, make("span", {}, name), shown);
  let line = null;
  if (value) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${SHOWN - 1} 20`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const ground = document.createElementNS(svg.namespaceURI, "path");
    ground.setAttribute("d", `M0 19.5h${SHOWN - 1}`);
    line = document.createElementNS(svg.namespaceURI, "polyline");
    svg.append(ground, line);
    box.append(svg);
  }
  at("live").append(box);
  return { name, value, words, shown, line, past: [] };
});

const moments = [];
async function look() {
  moments.push(momentOf(await ask("metrics")));
  if (moments.length > SHOWN) moments.shift();
  if (moments.length < 2) return;
  const to = moments[moments.length - 1];
  for (const gauge of GAUGES) {
    if (!gauge.value) {
      gauge.shown.textContent = gauge.words(slow(moments[0], to));
      continue;
    }
    const now = gauge.value(moments[moments.length - 2], to);
    gauge.past.push(now);
    if (gauge.past.length > SHOWN) gauge.past.shift();
    gauge.shown.textContent = gauge.words(now);
    const most = Math.max(...gauge.past, 1e-9);
    gauge.line.setAttribute("points", gauge.past.map(
      (n, i) => `${SHOWN - gauge.past.length + i},${(19 - 18 * n / most).toFixed(1)}`).join(" "));
  }
}

async function watch() {
  if (!document.hidden && models.length) {
    try {
      await look();
    } catch (error) {
      showProblem(error.message);
    }
  }
  setTimeout(watch, EVERY);
}

async function begin() {
  try {
    const info = JSON.parse(await ask("info"));
    models = info.models;
    version = info.version;
    at("version").textContent = version;
    at("model").replaceChildren(...models.map((m) => make("option", {}, m.name)));
    showModel();
    showProblem("");
    at("compare").querySelector("form").requestSubmit();
  } catch (error) {
    showProblem(error.message);
    if (!at("key-form").hidden) at("key").focus();
  }
}

at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = at("key").value.trim();
  begin();
});

begin();
watch();
