// Pictures of experiments and searches as SVG: gains with their intervals, values against one entry, parallel lines.

import { el, id, number, svg } from "/static/dom.js";
import { scale } from "/static/chart.js";

const WIDTH = 420, HEIGHT = 230, LEFT = 62, RIGHT = 14, BASE = HEIGHT - 38, TOP = 12;

function ends(values, log) {
  let low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  if (log) { const air = Math.max(high / low, 1.2) ** 0.06; return [low / air, high * air]; }
  const air = 0.06 * (high - low) || 0.06 * Math.abs(high) || 0.5;
  return [low - air, high + air];
}

const tick = (value) => number(Number(value.toPrecision(4)), 3);

// What a trial's value was, against one entry of the recipe: {title, axis, metric, points: [{x, y, best, words}], log, levels}.
export function scatter({ title, metric, points, log, levels }) {
  const heading = id("scatter"), there = points.filter((p) => p.y !== null);
  const figure = el("figure", { class: "chart", "aria-labelledby": heading }, el("h3", { id: heading }, title));
  if (!there.length) { figure.append(el("p", { class: "small" }, "No trial has a value yet.")); return figure; }
  const named = levels.length > 0;
  const x = named ? scale(-0.6, levels.length - 0.4, LEFT, WIDTH - RIGHT, false) : scale(...ends(there.map((p) => p.x), log), LEFT, WIDTH - RIGHT, log);
  const y = scale(...ends(there.map((p) => p.y), false), BASE, TOP, false);
  const parts = y.ticks(4).flatMap((t) => [svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(t), y2: y(t) }),
    svg("text", { class: "tick", x: LEFT - 8, y: y(t) + 4, "text-anchor": "end" }, tick(t))]);
  parts.push(svg("line", { class: "base", x1: LEFT, x2: WIDTH - RIGHT, y1: BASE, y2: BASE }));
  const below = named ? levels.map((name, i) => [i, name]) : x.ticks(5).map((t) => [t, tick(t)]);
  for (const [at, words] of below) parts.push(svg("text", { class: "tick", x: x(at), y: BASE + 18, "text-anchor": "middle" }, words.length > 14 ? `${words.slice(0, 13)}…` : words));
  for (const p of [...there].sort((a, b) => Number(a.best) - Number(b.best))) {
    parts.push(svg("circle", { class: `dot ${p.best ? "s1" : "s0"}`, cx: x(named ? levels.indexOf(p.x) : p.x), cy: y(p.y), r: p.best ? 5.5 : 3.5 }, svg("title", {}, p.words)));
  }
  const best = there.find((p) => p.best);
  figure.append(svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${metric} of ${there.length} trials. ${best ? `Best: ${best.words}` : ""}` }, parts));
  return figure;
}

// Every trial a line through its entries, the best drawn over the others: {axes: [{name, log, levels, values}], value, trials}.
export function parallel(axes, trials) {
  const heading = id("parallel"), gap = Math.max(110, 900 / axes.length), width = gap * (axes.length - 1) + 160, height = 300, top = 34, base = height - 34;
  const places = axes.map((_, i) => 80 + i * gap);
  const maps = axes.map(({ log, levels, values }) => (levels.length ? scale(-0.4, levels.length - 0.6, base, top, false) : scale(...ends(values, log), base, top, log)));
  const parts = axes.flatMap((axis, i) => [svg("line", { class: "base", x1: places[i], x2: places[i], y1: top, y2: base }),
    svg("text", { class: "tick", x: places[i], y: top - 14, "text-anchor": "middle" }, axis.name.split(".").at(-1)),
    (axis.levels.length ? axis.levels.map((words, k) => [k, words]) : maps[i].ticks(4).map((t) => [t, tick(t)])).map(([at, words]) =>
      svg("text", { class: "tick", x: places[i] + 6, y: maps[i](at) + 4 }, words.length > 14 ? `${words.slice(0, 13)}…` : words))]);
  for (const trial of [...trials].sort((a, b) => Number(a.best) - Number(b.best))) {
    const points = axes.map((axis, i) => {
      const value = trial.at[i];
      return value === null || value === undefined ? null : `${places[i]} ${maps[i](axis.levels.length ? axis.levels.indexOf(value) : value).toFixed(1)}`;
    }).filter(Boolean);
    if (points.length > 1) parts.push(svg("path", { class: `line ${trial.best ? "s1 solid" : "s0 faint"}`, fill: "none", d: `M${points.join("L")}` }, svg("title", {}, trial.words)));
  }
  return el("figure", { class: "chart", "aria-labelledby": heading }, el("h3", { id: heading }, "All trials"),
    el("p", { class: "small" }, "Each trial is a line through its entries, from the first to its value; the best is drawn thick."),
    el("div", { class: "scroll", role: "region", "aria-label": "All trials, drawn", tabindex: "0" },
      svg("svg", { class: "keep", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${trials.length} trials over ${axes.length - 1} entries; the table below holds the numbers.` }, parts)));
}

// Mean gains of arms with their intervals, a line an arm, 0 marked.
export function gains(arms) {
  const there = arms.filter((arm) => arm.low !== null && arm.high !== null);
  if (!there.length) return null;
  const row = 30, left = 190, width = 640, height = 30 + row * there.length + 26;
  const x = scale(...ends([0, ...there.flatMap((arm) => [arm.low, arm.high])], false), left, width - 20, false);
  const base = height - 26;
  const parts = x.ticks(5).flatMap((t) => [svg("line", { class: t === 0 ? "base" : "grid", x1: x(t), x2: x(t), y1: 14, y2: base }),
    svg("text", { class: "tick", x: x(t), y: base + 18, "text-anchor": "middle" }, tick(t))]);
  parts.push(svg("line", { class: "base", x1: x(0), x2: x(0), y1: 14, y2: base }));
  there.forEach((arm, i) => {
    const y = 30 + i * row, look = arm.decision === "helps" ? "good" : arm.decision === "hurts" ? "bad" : "open";
    parts.push(svg("text", { class: "axis strong", x: left - 12, y: y + 4, "text-anchor": "end" }, arm.name.length > 26 ? `${arm.name.slice(0, 25)}…` : arm.name),
      svg("line", { class: `gain ${look}`, x1: x(arm.low), x2: x(arm.high), y1: y, y2: y }),
      arm.differences.filter((d) => d !== null).map((d) => svg("circle", { class: "each", cx: x(d), cy: y + 8, r: 2 })),
      svg("circle", { class: `gain ${look}`, cx: x(arm.mean), cy: y, r: 5 }));
  });
  return el("figure", { class: "chart" }, svg("svg", { class: "gains", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": there.map((arm) => `${arm.name}: gain ${number(arm.mean)}, from ${number(arm.low)} to ${number(arm.high)}, ${arm.decision}`).join(". ") }, parts),
  el("p", { class: "small" }, "Mean gain over the control with its 95 % interval; the small dots are single pairs of seed and fold. Right of 0 is better."));
}
