// Line charts and sparklines as SVG. Colours come from the style sheet, so that light and dark need no redrawing.

import { el, id, number, percent, svg } from "/static/dom.js";

const LABEL = { train: "training", val: "validation", running: "running" };

function linearTicks(low, high, most) {
  const raw = (high - low) / Math.max(most, 1);
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= Math.floor(high / step + 1e-9); i += 1) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

function logTicks(low, high, most) {
  for (const parts of [[1], [1, 3], [1, 2, 5]]) {
    const ticks = [];
    for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p += 1) {
      for (const m of parts) if (m * 10 ** p >= low && m * 10 ** p <= high) ticks.push(Number((m * 10 ** p).toPrecision(3)));
    }
    if (ticks.length >= 3) return ticks.filter((_, i) => i % Math.max(1, Math.ceil(ticks.length / (most + 1))) === 0);
  }
  return linearTicks(low, high, most).filter((t) => t > 0);
}

function scale(low, high, start, end, log) {
  const f = log ? Math.log : (v) => v;
  const map = (v) => start + Math.min(1, Math.max(0, (f(v) - f(low)) / (f(high) - f(low)))) * (end - start);
  map.ticks = (most) => (log ? logTicks(low, high, most) : linearTicks(low, high, most));
  return map;
}

function path(x, y, points, log) {
  let out = "", pen = false;
  points.x.forEach((at, i) => {
    const value = points.y[i];
    if (value === null || (log && value <= 0)) { pen = false; return; }
    out += `${pen ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
  });
  return out;
}

function band(x, y, series, log) {
  if (!series.low?.length) return "";
  const floor = (v) => v !== null && (!log || v > 0);
  const there = series.x.map((at, i) => [x(at), series.low[i], series.high[i]]).filter(([, low, high]) => floor(high) && low !== null);
  if (there.length < 2) return "";
  const smallest = Math.min(...series.y.filter((v) => v > 0));
  const down = (v) => y(log && v <= 0 ? smallest / 10 : v);
  const top = there.map(([at, , high]) => `${at.toFixed(1)} ${y(high).toFixed(1)}`);
  const bottom = there.reverse().map(([at, low]) => `${at.toFixed(1)} ${down(low).toFixed(1)}`);
  return `M${[...top, ...bottom].join("L")}Z`;
}

function spread(wanted, gap, low, high) {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
  const placed = [...wanted];
  let floor = low;
  for (const i of order) { placed[i] = Math.max(placed[i], floor); floor = placed[i] + gap; }
  let ceiling = high;
  for (const i of order.reverse()) { placed[i] = Math.min(placed[i], ceiling); ceiling = placed[i] - gap; }
  return placed;
}

function nearest(points, epoch) {
  let best = -1;
  points.x.forEach((at, i) => {
    if (points.y[i] !== null && (best < 0 || Math.abs(at - epoch) < Math.abs(points.x[best] - epoch))) best = i;
  });
  return best;
}

function range(series, log, zero) {
  const values = series.flatMap((s) => [...s.y, ...(s.low ?? []), ...(s.high ?? [])]).filter((v) => v !== null && (!log || v > 0));
  if (!values.length) return log ? [0.5, 1] : [0, 1];
  let low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  if (log) { const air = Math.max(high / low, 1.05) ** 0.05; return [low / air, high * air]; }
  if (zero && low >= 0) low = 0;
  const air = 0.05 * (high - low) || 0.05 * Math.abs(high) || 0.5;
  return [low - (zero && low === 0 ? 0 : air), high + air];
}

// A chart: {title, axis, percent, log, lost, series: [{look, label, x, y, low, high, quiet}], marks: [{epoch, mark, level}]}.
export class Chart {
  constructor(spec) {
    this.heading = el("h3", {}, spec.title);
    this.readout = el("p", { class: "readout small", "aria-live": "off" });
    this.place = el("div", { class: "plot" });
    this.node = el("figure", { class: "chart" }, this.heading, this.place, this.readout);
    this.at = null;
    this.width = 0;
    this.draw(spec);
    new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width && width !== this.width) { this.width = width; this.draw(this.spec); }
    }).observe(this.place);
  }

  show(value) { return this.spec.percent ? percent(value) : number(value); }

  draw(spec) {
    this.spec = spec;
    const width = this.width || 400, narrow = width < 520;
    const named = spec.series.filter((s) => !s.quiet);
    const labels = named.length > 1 || named.some((s) => LABEL[s.look]);
    const said = named.map((s) => `${s.label} ${this.show(s.y.findLast((v) => v !== null))}`.length);
    const right = spec.legend ? 16 : labels ? (narrow ? 82 : Math.max(128, 20 + 7 * Math.max(...said))) : 16;
    const height = Math.round(Math.min(340, Math.max(220, width * 0.42)));
    const top = spec.marks?.length ? 44 : 16;
    const ends = spec.series.flatMap((s) => s.x);
    const last = Math.max(1, ...(ends.length ? [ends.reduce((a, b) => Math.max(a, b))] : []));
    const first = ends.includes(0) ? 0 : 1;
    const log = spec.log;
    const loud = spec.series.filter((s) => !s.quiet);
    const lows = range(loud.length ? loud : spec.series, log, spec.zero);
    const left = this.left = Math.max(52, 14 + 6.4 * Math.max(0, ...scale(...lows, 1, 0, log).ticks(5).map((t) => this.tick(t).length)));
    const x = this.x = last === first ? scale(first - 0.5, first + 0.5, left, width - right) : scale(first, last, left, width - right);
    const y = this.y = scale(...lows, height - 40, top, log);
    this.last = last; this.first = first;
    const marks = [];
    for (const tick of y.ticks(5)) {
      marks.push(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
        svg("text", { class: "tick", x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, this.tick(tick)));
    }
    const base = height - 40;
    marks.push(svg("line", { class: "base", x1: left, x2: width - right, y1: base, y2: base }));
    for (const tick of x.ticks(narrow ? 4 : 7).filter((t) => Number.isInteger(t) && t >= first)) {
      marks.push(svg("line", { class: "base", x1: x(tick), x2: x(tick), y1: base, y2: base + 4 }),
        svg("text", { class: "tick", x: x(tick), y: base + 18, "text-anchor": "middle" }, number(tick)));
    }
    marks.push(svg("text", { class: "axis", x: (left + width - right) / 2, y: base + 35, "text-anchor": "middle" }, "epoch"));
    if (spec.lost) {
      const from = Math.min(x(spec.lost), width - right - 6);
      marks.push(svg("rect", { class: "lost", x: from, y: top, width: width - right - from, height: base - top }));
    }
    for (const s of spec.series) {
      const d = band(x, y, s, log);
      if (d) marks.push(svg("path", { class: `area ${s.look}`, d }));
    }
    for (const s of [...spec.series].sort((a, b) => (b.quiet ? 1 : 0) - (a.quiet ? 1 : 0))) {
      marks.push(svg("path", { class: `line ${s.look}${s.quiet ? " faint" : ""}`, d: path(x, y, s, log) }));
      if (s.x.length === 1 && s.y[0] !== null) marks.push(svg("circle", { class: `dot ${s.look}`, cx: x(s.x[0]), cy: y(s.y[0]), r: 3.2 }));
    }
    if (!spec.legend) marks.push(...this.ends(named, width - right, top, base, narrow));
    marks.push(...this.marks(spec.marks ?? [], top, base, width - right));
    this.cursor = svg("g", { class: "cursor", visibility: "hidden" });
    const name = id("chart"), about = id("about");
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: "0", "aria-labelledby": `${name} ${about}` },
      svg("title", { id: name }, spec.title), svg("desc", { id: about }, this.description(named)), ...marks, this.cursor);
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const share = (event.clientX - box.left) * (width / box.width);
      this.point(first + Math.round(((share - left) / (width - right - left)) * (last - first)), base, top);
    });
    picture.addEventListener("pointerleave", () => this.point(null, base, top));
    picture.addEventListener("blur", () => { this.readout.setAttribute("aria-live", "off"); this.point(null, base, top); });
    picture.addEventListener("keydown", (event) => {
      const step = Math.max(1, Math.round((last - first) / 50));
      const to = { ArrowLeft: (this.at ?? last + step) - step, ArrowRight: (this.at ?? first - step) + step, Home: first, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.readout.setAttribute("aria-live", "polite");
      this.point(to, base, top);
    });
    // A chart that is redrawn while it grows keeps the focus of whoever reads it with the keyboard.
    const focused = this.place.contains(document.activeElement);
    this.place.replaceChildren(picture);
    if (focused) picture.focus();
    if (this.at !== null) this.point(this.at, base, top);
    else this.readout.textContent = this.resting();
  }

  tick(value) {
    if (this.spec.percent) return percent(Number(value.toPrecision(6)));
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-4 || size >= 1e6) ? number(value, 1) : number(Number(value.toPrecision(4)), 4).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  }

  resting() { return this.spec.log ? "logarithmic scale" : "\u00a0"; }

  ends(named, edge, top, base, narrow) {
    const found = named.map((s) => [s, nearest(s, Infinity) < 0 ? s.x.length - 1 : s.y.findLastIndex((v) => v !== null)]).filter(([s, i]) => i >= 0 && s.label);
    const places = spread(found.map(([s, i]) => this.y(s.y[i])), 16, top + 4, base - 2);
    return found.flatMap(([s, i], k) => {
      const start = edge + 12, words = narrow ? s.label : `${s.label} ${this.show(s.y[i])}`;
      return [svg("path", { class: "leader", d: `M${this.x(s.x[i]) + 3} ${this.y(s.y[i])}L${start - 3} ${places[k]}` }),
        svg("text", { class: `label ${s.look}`, x: start, y: places[k] + 4 }, words)];
    });
  }

  marks(marks, top, base, edge) {
    const places = spread(marks.map((m) => this.x(m.epoch)), 24, this.left, edge);
    return marks.flatMap((m, k) => [
      svg("path", { class: `mark ${m.level}`, d: `M${places[k]} ${top - 10}L${this.x(m.epoch)} ${top}V${base}` }),
      svg("circle", { class: `disc ${m.level}`, cx: places[k], cy: top - 20, r: 10 }),
      svg("text", { class: "disc-text", x: places[k], y: top - 15.8, "text-anchor": "middle" }, m.mark)]);
  }

  point(epoch, base, top) {
    if (epoch === null || !Number.isFinite(epoch)) {
      this.at = null;
      this.cursor.setAttribute("visibility", "hidden");
      this.readout.textContent = this.resting();
      return;
    }
    this.at = Math.min(this.last, Math.max(this.first, epoch));
    const parts = [`epoch ${number(this.at)}`], dots = [];
    for (const s of this.spec.series.filter((one) => !one.quiet)) {
      const i = nearest(s, this.at);
      if (i < 0) continue;
      const spreads = s.low?.length ? ` ± ${number((s.high[i] - s.low[i]) / 2, 2)}` : "";
      parts.push(`${s.label} ${this.show(s.y[i])}${spreads}`);
      if (!(this.spec.log && s.y[i] <= 0)) dots.push(svg("circle", { class: `dot ${s.look}`, cx: this.x(s.x[i]), cy: this.y(s.y[i]), r: 3.5 }));
    }
    this.cursor.replaceChildren(svg("line", { x1: this.x(this.at), x2: this.x(this.at), y1: top, y2: base }), ...dots);
    this.cursor.setAttribute("visibility", "visible");
    this.readout.textContent = parts.join(" · ");
  }

  description(named) {
    const parts = named.filter((s) => s.label).map((s) => {
      const there = s.y.map((v, i) => [v, s.x[i]]).filter(([v]) => v !== null);
      if (!there.length) return "";
      const [[from, first], [to, last]] = [there[0], there[there.length - 1]];
      return `${s.label}: ${this.show(from)} at epoch ${first}, ${this.show(to)} at epoch ${last}.`;
    });
    return `${parts.join(" ")} Arrow keys read the values.`;
  }
}

// The chart of one quantity of one run, as the server describes it.
export function ofRun(chart, marks = []) {
  const series = [
    ...(chart.members ?? []).map((m) => ({ look: chart.lines.some((l) => l.key === "val") ? "val" : "train", quiet: true, ...m })),
    ...chart.lines.map(({ key, ...points }) => ({ look: chart.name === "learning_rate" ? "plain" : key, label: chart.name === "learning_rate" ? "" : LABEL[key], ...points })),
  ];
  return { title: chart.title, percent: chart.percent, log: chart.log, lost: chart.lost, series, marks };
}

// ------------------------------------------------------------------------------------------------------- sparklines

export function sparkline(points, words) {
  const width = 112, height = 28;
  const lines = Object.entries(points ?? {});
  const values = lines.flatMap(([, line]) => line.y).filter((v) => v !== null);
  const picture = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": words });
  if (!values.length) return picture;
  const log = Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 30;
  const [low, high] = range(lines.map(([, line]) => line), log);
  const last = Math.max(...lines.flatMap(([, line]) => line.x), 2);
  const x = scale(1, last, 3, width - 3), y = scale(low, high, height - 3, 3, log);
  for (const [key, line] of lines) picture.append(svg("path", { class: `line ${key}`, d: path(x, y, line, log) }));
  return picture;
}

export { LABEL, scale };
