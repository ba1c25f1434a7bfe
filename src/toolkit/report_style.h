#pragma once
// The style sheet of report.html. Colours are named once for light and once for dark; print uses
// the light ones. Series and heat levels keep their order of brightness for readers who see no hue.

namespace octavo {

inline constexpr const char* kReportStyle = R"CSS(
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #59636e; --rule: #d5dae0;
  --band: #f3f5f7; --good: #116329; --bad: #a40e26; --s0: #6e7781; --s1: #c2570c; --s2: #0b5cad;
  --p0: #6b4c9a; --p1: #1f7a74; --p2: #a9b1ba; --on: #fff;
  --h0: #eef1f4; --h1: #d6e2ee; --h2: #b0cbe4; --h3: #85b0d6; --h4: #e8b04a; --h5: #dd7f2b;
  --h6: #bb3d1f; --h7: #6d0f12; }
@media screen and (prefers-color-scheme: dark) { :root { --page: #14181d; --ink: #e4e8ec;
  --soft: #9aa5b1; --rule: #39424d; --band: #1d232a; --good: #56d364; --bad: #ff7b72; --s0: #9aa5b1;
  --s1: #f0883e; --s2: #58a6ff; --p0: #b69be0; --p1: #56b8b1; --p2: #6b7683; --on: #14181d; --h0: #1d242c; --h1: #24384d; --h2: #2c5174; --h3: #3b76a8;
  --h4: #8a6420; --h5: #c98427; --h6: #f0b040; --h7: #fff0b3; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 60px; max-width: 860px; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", "Noto Sans", sans-serif; }
h1 { font-size: 26px; line-height: 1.2; margin: 8px 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 40px 0 8px; padding-top: 8px; border-top: 1px solid var(--rule); }
p { margin: 8px 0; max-width: 92ch; }
.soft, caption, figcaption { color: var(--soft); }
.verdict { max-width: none; padding: 10px 14px; border-left: 4px solid var(--good); background: var(--band); }
.verdict.bad { border-color: var(--bad); }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 16px 0; }
.tiles div { flex: 1 1 125px; padding: 10px 14px; background: var(--band); border-radius: 6px; }
.tiles b { display: block; font-size: 21px; font-variant-numeric: tabular-nums; font-weight: 600; }
.tiles span { color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; margin: 10px 0; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--rule); }
th { color: var(--soft); font-weight: 600; }
.r { text-align: right; white-space: nowrap; }
code, .name { font: 12.5px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
td code { white-space: nowrap; }
td .name { display: inline-block; min-width: 13em; }
pre { background: var(--band); padding: 10px 14px; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 14px 0; }
figure .scroll { margin: 0 0 6px; }
svg { display: block; width: 100%; min-width: 560px; height: auto; }
svg text { fill: var(--ink); font-size: 12px; }
svg .tick { fill: var(--soft); font-size: 11px; }
svg .axis { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--rule); stroke-width: 1; }
.zero { stroke: var(--soft); stroke-width: 1.5; }
.curve { fill: none; stroke-width: 2; }
.whisker { stroke-width: 2; }
.curve.s0, .whisker.s0 { stroke: var(--s0); }
.curve.s1, .whisker.s1 { stroke: var(--s1); }
.curve.s2, .whisker.s2 { stroke: var(--s2); }
.stem { stroke-width: 1.5; opacity: 0.45; }
.stem.s0 { stroke: var(--s0); } .stem.s2 { stroke: var(--s2); }
.p0 { fill: var(--p0); } .p1 { fill: var(--p1); } .p2 { fill: var(--p2); }
svg .on0, svg .on1 { fill: var(--on); } svg .on2 { fill: var(--ink); }
.dot.s0 { fill: var(--s0); } .dot.s1 { fill: var(--s1); } .dot.s2 { fill: var(--s2); }
.curve.s0 { stroke-dasharray: 2 3; } .curve.s1 { stroke-dasharray: 7 3; }
.h0 { fill: var(--h0); } .h1 { fill: var(--h1); } .h2 { fill: var(--h2); } .h3 { fill: var(--h3); }
.h4 { fill: var(--h4); } .h5 { fill: var(--h5); } .h6 { fill: var(--h6); } .h7 { fill: var(--h7); }
.cover { fill: transparent; }
.legend { color: var(--soft); font-size: 13px; }
.legend span { margin-right: 16px; white-space: nowrap; }
.legend i { display: inline-block; width: 18px; height: 4px; margin-right: 6px; vertical-align: middle; }
i.s0 { background: var(--s0); } i.s1 { background: var(--s1); } i.s2 { background: var(--s2); }
i.p0 { background: var(--p0); } i.p1 { background: var(--p1); } i.p2 { background: var(--p2); }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } h2, .legend { break-after: avoid; }
  figure, tr, .tiles { break-inside: avoid; } .scroll { overflow: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
)CSS";

}  // namespace octavo
