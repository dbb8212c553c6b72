// Heat maps, layers by epochs: one cell a layer and epoch that was looked at. Cividis' colours can be told apart by
// everybody and grow brighter with the value, also in grey.

import { el, id, number, percent, table } from "/static/dom.js";

const STOPS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"]
  .map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));

function colour(share) {
  const at = Math.min(0.9999, Math.max(0, share)) * (STOPS.length - 1), i = Math.floor(at);
  return STOPS[i].map((low, k) => Math.round(low + (at - i) * (STOPS[i + 1][k] - low)));
}

function scaleOf(map) {
  const values = map.rows.flat().filter((v) => v !== null);
  if (map.name.endsWith("_share")) return { low: 0, high: 1, log: false, f: (v) => v };
  const positive = values.filter((v) => v > 0), smallest = positive.reduce((a, b) => Math.min(a, b), Infinity);
  const low = values.reduce((a, b) => Math.min(a, b), Infinity), high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (low >= 0 && positive.length && high / smallest > 30) {
    // Nothing is shown below a millionth of a millionth of the largest: it is as good as none.
    const least = Math.max(smallest, high * 1e-12);
    const f = (v) => (v <= least ? 0 : Math.log(v / least) / Math.log(high / least));
    return { low: least, high, log: true, f };
  }
  return { low, high, log: false, f: (v) => (high > low ? (v - low) / (high - low) : 0.5) };
}

export function heatMap(inside, map) {
  const { layers, epochs } = inside, scale = scaleOf(map);
  const show = map.name.endsWith("_share") ? percent : (v) => number(v);
  const canvas = el("canvas", { width: epochs.length, height: layers.length, "aria-hidden": "true" });
  const pen = canvas.getContext("2d"), picture = pen.createImageData(epochs.length, layers.length);
  map.rows.forEach((row, r) => row.forEach((value, c) => {
    const at = 4 * (r * epochs.length + c);
    if (value === null) return; // the page shows through
    picture.data.set([...colour(scale.f(value)), 255], at);
  }));
  pen.putImageData(picture, 0, 0);
  const row = Math.max(5, Math.min(26, 300 / layers.length));
  canvas.style.height = `${row * layers.length}px`;
  const every = Math.ceil(13 / row);
  const names = el("ol", { class: "layers", "aria-hidden": "true" }, layers.map((name, i) => {
    const item = el("li", { title: name }, i % every ? "" : name);
    item.style.height = `${row}px`;
    return item;
  }));
  const readout = el("p", { class: "readout small" }, "\u00a0");
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const c = Math.min(epochs.length - 1, Math.floor(((event.clientX - box.left) / box.width) * epochs.length));
    const r = Math.min(layers.length - 1, Math.floor(((event.clientY - box.top) / box.height) * layers.length));
    if (c >= 0 && r >= 0) readout.textContent = `${layers[r]} · epoch ${number(epochs[c])} · ${show(map.rows[r][c])}`;
  });
  canvas.addEventListener("pointerleave", () => { readout.textContent = "\u00a0"; });
  const key = el("canvas", { class: "key", width: 64, height: 1, "aria-hidden": "true" });
  const keyPen = key.getContext("2d"), strip = keyPen.createImageData(64, 1);
  for (let i = 0; i < 64; i += 1) strip.data.set([...colour(i / 63), 255], 4 * i);
  keyPen.putImageData(strip, 0, 0);
  const title = map.name.replaceAll("_", " "), heading = id("map");
  return el("figure", { class: "heat", "aria-labelledby": heading },
    el("h3", { id: heading }, title),
    el("p", { class: "small" }, `${map.about}.`),
    el("div", { class: "cells" }, names, el("div", {}, canvas,
      el("div", { class: "ends small" }, el("span", {}, `epoch ${number(epochs[0])}`), el("span", {}, number(epochs[epochs.length - 1]))))),
    el("p", { class: "scale small" }, show(scale.low), key, show(scale.high), scale.log ? " (logarithmic)" : ""),
    readout, numbers(inside, map, title, show));
}

// The same for whoever cannot see colours: a table of a few epochs.
function numbers(inside, map, title, show) {
  const count = Math.min(6, inside.epochs.length);
  const chosen = [...new Set(Array.from({ length: count }, (_, i) => Math.round((i * (inside.epochs.length - 1)) / Math.max(1, count - 1))))];
  const details = el("details", {}, el("summary", {}, "Numbers"));
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    details.append(table(`${title} by layer and epoch`, ["layer", ...chosen.map((c) => number(inside.epochs[c]))],
      inside.layers.map((name, r) => [name, ...chosen.map((c) => show(map.rows[r][c]))]), { numeric: chosen.map((_, k) => k + 1) }));
  });
  return details;
}
