"""The style sheet of the report on a model's health: light, dark and paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1d1d1f; --quiet: #5c5f66; --edge: #d9dbe0; --soft: #f4f5f7;
  --look: #b23b00; --look-soft: #fff1e8; --good: #1a6b3c; --good-soft: #ecf7f0;
  --c0: #d95700; --c1: #2767b0; --c2: #1f7a4d; --c3: #8a4fb0; --c4: #70747c;
  --d0: #9aa0aa; --d1: #2767b0; --d2: #d95700; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #17181b; --ink: #ececee; --quiet: #a4a8b0; --edge: #383b42; --soft: #212328;
    --look: #ff9a57; --look-soft: #35241a; --good: #6fcf97; --good-soft: #1a2d22;
    --c0: #ff8a3d; --c1: #6aa9f0; --c2: #6fcf97; --c3: #c79bea; --c4: #a4a8b0;
    --d0: #6d727c; --d1: #6aa9f0; --d2: #ff8a3d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK JP", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: 0 0 .6rem; }
code { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; font-size: .9em;
  overflow-wrap: anywhere; }
section, header { margin-bottom: 2.25rem; }
.quiet, .interval { color: var(--quiet); font-size: .9rem; }
.facts { display: flex; flex-wrap: wrap; gap: .4rem 1.75rem; margin: 0 0 .75rem; }
.facts dt { color: var(--quiet); font-size: .8rem; }
.facts dd { margin: 0; }
.verdict { padding: .8rem 1rem; border-radius: .5rem; background: var(--soft); border-left: .3rem solid var(--quiet); }
.verdict.look { background: var(--look-soft); border-color: var(--look); }
.verdict.good { background: var(--good-soft); border-color: var(--good); }
.verdict + .leads { margin-top: 1rem; }
.leads { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; }
.lead { border: 1px solid var(--edge); border-radius: .5rem; padding: 1rem; position: relative;
  overflow-wrap: anywhere; }
.lead h2 { font-size: .95rem; font-weight: 600; margin-right: 5.5rem; }
.lead p:last-child { margin: 0; font-size: .92rem; }
.sign { position: absolute; top: 1rem; right: 1rem; font-size: .8rem; font-weight: 600; color: var(--quiet); }
.look .sign { color: var(--look); }
.good .sign { color: var(--good); }
.figure { font-size: 2.1rem; line-height: 1.2; font-weight: 650; margin: 0 0 .2rem;
  font-variant-numeric: tabular-nums; }
.unknown .figure { color: var(--quiet); font-size: 1.5rem; font-weight: 500; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
td .bar { display: inline-block; vertical-align: middle; margin: 0 .75rem 0 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--edge); }
thead th { color: var(--quiet); font-size: .8rem; font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 500; }
tbody th bdi { overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 1.2rem; }
li { margin-bottom: .35rem; }
svg { display: block; }
.plot { width: 100%; height: auto; margin: .5rem 0; }
.bar { width: 10rem; height: .9rem; margin: .3rem 0; }
.lead .bar { width: 100%; height: auto; }
.rail { fill: var(--edge); }
.filled { fill: var(--c1); }
.whisker { stroke: var(--ink); stroke-width: 1.3; fill: none; }
.grid { stroke: var(--edge); }
.frame { fill: none; stroke: var(--edge); }
.tick { fill: var(--quiet); font-size: 12px; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.band { opacity: .16; }
.line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); stroke-dasharray: 7 3; }
.line.c2 { stroke: var(--c2); stroke-dasharray: 2 3; } .line.c3 { stroke: var(--c3); stroke-dasharray: 10 3 2 3; }
.line.c4 { stroke: var(--c4); stroke-dasharray: 4 4; }
.band.c0, .end.c0 { fill: var(--c0); } .band.c1, .end.c1 { fill: var(--c1); }
.band.c2, .end.c2 { fill: var(--c2); } .band.c3, .end.c3 { fill: var(--c3); } .band.c4, .end.c4 { fill: var(--c4); }
.dots { opacity: .75; }
.dots.d0 { fill: var(--d0); } .dots.d1 { fill: var(--d1); } .dots.d2 { fill: var(--d2); opacity: 1; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.25rem; padding: 0; font-size: .85rem; }
.legend li { display: flex; align-items: center; gap: .4rem; margin: 0; }
.mark { width: .8rem; height: .8rem; border-radius: .2rem; }
.mark.c0 { background: var(--c0); } .mark.c1 { background: var(--c1); } .mark.c2 { background: var(--c2); }
.mark.c3 { background: var(--c3); } .mark.c4 { background: var(--c4); }
.mark.d0 { background: var(--d0); } .mark.d1 { background: var(--d1); } .mark.d2 { background: var(--d2); }
@media (max-width: 40rem) {
  main { padding: 1.25rem 1rem 3rem; }
  table, .plot { min-width: 34rem; }
  td .bar { width: 5rem; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --quiet: #444; --edge: #bbb; --soft: #fff; --look-soft: #fff; --good-soft: #fff; }
  main { max-width: none; padding: 0; }
  section, article, tr, svg { break-inside: avoid; }
  .wide { overflow: visible; }
  table, .plot { min-width: 0; }
  svg, .mark, .verdict { print-color-adjust: exact; }
}
"""
