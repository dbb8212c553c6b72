// The list of runs: it follows the folder, and draws only what is in sight.

import { METRICS, ask, content, duration, el, fill, listen, runAddress, say, scored, statusBadge, when } from "/static/dom.js";
import { sparkline } from "/static/chart.js";

const lines = new Map(), rows = new Map(), chosen = new Set(), wanted = new Set();
let failed = {}, root = "", order = "created", down = true, timer = 0;

const COLUMNS = [
  ["run", "name"], ["state", "status"], ["loss", null], ["predicts", "target"], ["score", "value"], ["begun", "created"], ["took", "seconds"],
];
const head = el("tr", { role: "row" }, el("th", { scope: "col", role: "columnheader" }, el("span", { class: "unseen" }, "chosen")), COLUMNS.map(([words, key]) =>
  el("th", { scope: "col", role: "columnheader" }, key ? el("button", { class: "sort", type: "button", "data-key": key, onclick: () => sortBy(key) }, words) : words)));
const body = el("tbody", { role: "rowgroup" });
const search = el("input", { type: "search", id: "search", autocomplete: "off", placeholder: "name, target, score …", oninput: arrange });
const status = el("select", { id: "state", onchange: arrange }, ["", "training", "finished", "interrupted", "unusable"].map((value) => el("option", { value }, value || "all")));
const count = el("p", { class: "small", role: "status" });
const compare = el("button", { type: "button", class: "main", disabled: true, onclick: goCompare }, "Compare");
const clear = el("button", { type: "button", disabled: true, onclick: () => { chosen.clear(); for (const row of rows.values()) row.box.checked = false; showChosen(); } }, "Choose none");
const trouble = el("div", {});

// Sparklines are asked for by the hundred, as rows come into sight.
const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const name = entry.target.dataset.name;
    if (entry.isIntersecting) want(name);
  }
}, { rootMargin: "300px" });

function want(name) {
  const row = rows.get(name);
  if (!row || row.drawn === row.version) return;
  wanted.add(name);
  clearTimeout(timer);
  timer = setTimeout(fetchSparks, 60);
}

async function fetchSparks() {
  const names = [...wanted].slice(0, 100);
  names.forEach((name) => wanted.delete(name));
  if (!names.length) return;
  try {
    const found = await ask("GET", `/api/sparklines?${names.map((name) => `name=${encodeURIComponent(name)}`).join("&")}`);
    for (const name of names) {
      const row = rows.get(name);
      if (!row) continue;
      row.drawn = row.version;
      fill(row.spark, Object.keys(found[name]).length ? sparkline(found[name], describe(found[name])) : null);
    }
  } catch (error) { say(error.message, true); }
  if (wanted.size) timer = setTimeout(fetchSparks, 30);
}

function describe(points) {
  const last = (line) => line?.y.filter((v) => v !== null).at(-1);
  const [train, val] = [last(points?.train), last(points?.val)];
  const parts = [train !== undefined && `training loss ${scored("", train)}`, val !== undefined && `validation loss ${scored("", val)}`].filter(Boolean);
  return parts.join(", ") || "no curve yet";
}

function sortBy(key) {
  down = order === key ? !down : key === "created" || key === "seconds";
  order = key;
  arrange();
}

function arrange() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const value = (line) => line[order] ?? (typeof line[order] === "number" ? 0 : "");
  const shown = [...lines.values()].filter((line) => (!status.value || line.status === status.value)
    && words.every((word) => `${line.name} ${line.target} ${line.kind} ${METRICS[line.metric] ?? line.metric} ${line.status} ${line.outcome}`.toLowerCase().includes(word)));
  shown.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    const found = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
    return (down ? -found : found) || a.name.localeCompare(b.name, undefined, { numeric: true });
  });
  const wantedRows = shown.map((line) => rows.get(line.name).node);
  if (wantedRows.length !== body.childElementCount || wantedRows.some((node, i) => body.children[i] !== node)) body.replaceChildren(...wantedRows);
  for (const button of head.querySelectorAll(".sort")) {
    const own = button.dataset.key === order;
    button.parentElement.setAttribute("aria-sort", own ? (down ? "descending" : "ascending") : "none");
  }
  count.textContent = shown.length === lines.size ? `${lines.size} ${lines.size === 1 ? "run" : "runs"} in ${root}` : `${shown.length} of ${lines.size} runs`;
  showFailures();
}

function put(line) {
  lines.set(line.name, line);
  let row = rows.get(line.name);
  if (!row) {
    const box = el("input", { type: "checkbox", "aria-label": `choose ${line.name}`, onchange: () => { if (box.checked) chosen.add(line.name); else chosen.delete(line.name); showChosen(); } });
    row = { box, node: el("tr", { role: "row", "data-name": line.name }), spark: el("span", {}), drawn: "" };
    rows.set(line.name, row);
    sight.observe(row.node);
  }
  row.version = line.version;
  const score = line.value === null ? "" : line.outcome === "diverged" ? "–" : `${METRICS[line.metric] ?? line.metric} ${scored(line.metric, line.value)}`;
  const cell = (label, inner, kind) => el("td", { role: "cell", class: kind ?? null, "data-label": label }, el("span", {}, inner));
  fill(row.node,
    el("td", { role: "cell", class: "choose" }, row.box),
    el("th", { scope: "row", role: "rowheader" }, el("a", { href: runAddress(line.name) }, line.name), line.problem ? el("span", { class: "small problem" }, line.problem) : null),
    cell("state", statusBadge(line)), el("td", { role: "cell", "data-label": "loss" }, row.spark), cell("predicts", line.target), cell("score", score, "tight"),
    cell("begun", when(line.created), "tight"), cell("took", duration(line.seconds), "figure"));
  if (row.node.isConnected && row.drawn !== line.version) {
    const box = row.node.getBoundingClientRect();
    if (box.bottom > -300 && box.top < innerHeight + 300) want(line.name);
  }
}

function drop(name) {
  rows.get(name)?.node.remove();
  rows.delete(name); lines.delete(name); chosen.delete(name);
  showChosen();
}

function showChosen() {
  compare.disabled = chosen.size < 1; clear.disabled = chosen.size < 1;
  compare.textContent = chosen.size ? `Compare ${chosen.size}` : "Compare";
}

function goCompare() {
  location.href = `/compare?${[...chosen].map((name) => `run=${encodeURIComponent(name)}`).join("&")}`;
}

function showFailures() {
  fill(trouble, Object.entries(failed).map(([name, words]) => el("article", { class: "remark serious" },
    el("h2", { class: "minor" }, `${name} could not be trained`), el("pre", { tabindex: "0" }, words))));
}

async function load() {
  const found = await ask("GET", "/api/runs");
  root = found.root; failed = found.failed;
  found.runs.forEach(put);
  fill(content, trouble,
    el("div", { class: "bar-of-tools" }, el("div", { class: "field" }, el("label", { for: "search" }, "Search"), search),
      el("div", { class: "field" }, el("label", { for: "state" }, "State"), status), el("div", { class: "actions" }, compare, clear)),
    lines.size ? null : el("p", { id: "none" }, "There are no runs yet. ", el("a", { href: "/new" }, "Train a network"), ", or type fallline train data.csv --target COLUMN in a terminal."),
    el("div", { class: "scroll", role: "region", "aria-label": "Runs", tabindex: "0" }, el("table", { class: "stacked runs", role: "table" },
      el("caption", { class: "unseen" }, "Runs, with their learning curves"), el("thead", { role: "rowgroup" }, head), body)),
    el("p", { class: "small" }, "Loss: training drawn through, validation dashed."), count);
  arrange();
  content.dataset.ready = "yes";
  listen("/api/events", {
    runs: ({ runs, all }) => {
      if (all) { const there = new Set(runs.map((line) => line.name)); for (const name of [...lines.keys()]) if (!there.has(name)) drop(name); }
      const changed = runs.filter((line) => lines.get(line.name)?.version !== line.version);
      changed.forEach(put);
      if (changed.length) { document.getElementById("none")?.remove(); refreshFailures(); arrange(); }
    },
    gone: ({ names }) => { names.forEach(drop); refreshFailures(); arrange(); },
    trouble: ({ error }) => say(error, true),
  });
}

async function refreshFailures() {
  try { failed = (await ask("GET", "/api/runs")).failed; showFailures(); } catch { /* said elsewhere */ }
}

load().catch((error) => { fill(content, el("p", { class: "trouble" }, error.message)); say(error.message, true); });
