// Several runs beside each other: overlaid curves, what differs in their recipes, their scores.

import { METRICS, ask, content, el, entitle, fill, runAddress, say, scored, section, table } from "/static/dom.js";
import { Chart } from "/static/chart.js";

const LOOKS = 8;
const names = new URLSearchParams(location.search).getAll("run");

function swatch(i) {
  return el("span", { class: `swatch s${i % LOOKS}`, "aria-hidden": "true" });
}

function label(group, i) {
  return group.runs.length > 1 ? `${group.runs[0]} and ${group.runs.length - 1} more` : group.runs[0];
}

function chartOf(chart, groups) {
  const series = chart.groups.map((found, i) => found && ({ look: `s${i % LOOKS}`, label: label(groups[i], i), ...found })).filter(Boolean);
  const values = series.flatMap((s) => s.y).filter((v) => v !== null);
  const log = values.length > 0 && Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 30;
  const title = chart.name.startsWith("val_") ? `validation: ${METRICS[chart.name.slice(4)] ?? chart.name.slice(4)}` : (METRICS[chart.name] ?? chart.name).replaceAll("_", " ");
  return new Chart({ title, percent: chart.percent, log, legend: true, series });
}

function legend(groups) {
  return el("ul", { class: "bare legend" }, groups.map((group, i) => el("li", {}, swatch(i),
    group.runs.map((name, k) => [k ? ", " : "", el("a", { href: runAddress(name) }, name)]),
    group.runs.length > 1 ? el("span", { class: "soft" }, ` — mean ± standard deviation over ${group.runs.length} seeds (${group.seeds.join(", ")})`) : null)));
}

function differences(found, groups) {
  const runs = groups.flatMap((group) => group.runs);
  if (runs.length < 2) return el("p", {}, "Choose several runs in the list to see what differs.");
  if (!found.length) return el("p", {}, "The recipes are the same.");
  return table("Entries in which the recipes differ", ["entry", ...runs], found.map((row) => [el("code", {}, row.entry), ...runs.map((name) => {
    const value = row.values[name];
    return value === null || value === undefined ? "–" : String(value);
  })]), { stacked: true });
}

function mean(values) { return values.reduce((a, b) => a + b, 0) / values.length; }

function scores(found, groups) {
  const own = (name) => (found[name] ?? []).filter((score) => score.who === "model");
  const metrics = [...new Set(groups.flatMap((group) => group.runs.flatMap((name) => own(name).map((score) => score.metric))))];
  if (!metrics.length) return null;
  const cell = (group, metric) => {
    const values = group.runs.map((name) => own(name).find((score) => score.metric === metric)?.value).filter((v) => v !== null && v !== undefined);
    if (!values.length) return "–";
    const middle = mean(values);
    if (values.length < 2) return scored(metric, middle);
    const sd = Math.sqrt(values.reduce((sum, v) => sum + (v - middle) ** 2, 0) / (values.length - 1));
    return `${scored(metric, middle)} ± ${scored(metric, sd, 2)}`;
  };
  return section("Scores", table("The networks' scores; ± is the standard deviation over seeds", ["run", ...metrics.map((m) => METRICS[m] ?? m)],
    groups.map((group, i) => [[swatch(i), label(group, i)], ...metrics.map((m) => cell(group, m))]), { stacked: true, numeric: metrics.map((_, k) => k + 1) }));
}

async function load() {
  entitle(names.length === 1 ? `Compare ${names[0]}` : `Compare ${names.length} runs`);
  if (!names.length) { fill(content, el("p", {}, "Choose runs in ", el("a", { href: "/" }, "the list"), " to compare them.")); return; }
  const found = await ask("GET", `/api/compare?${names.map((name) => `run=${encodeURIComponent(name)}`).join("&")}`);
  const charts = found.charts.map((chart) => chartOf(chart, found.groups));
  fill(content,
    Object.entries(found.problems).map(([name, words]) => el("article", { class: "remark warning" }, el("h2", { class: "minor" }, `${name} is left out`), el("p", {}, words))),
    found.groups.length ? legend(found.groups) : null,
    charts.length ? section("Curves", charts[0].node, el("div", { class: "row" }, charts.slice(1).map((chart) => el("div", {}, chart.node)))) : null,
    section("What differs", differences(found.differences, found.groups)), scores(found.scores, found.groups));
  content.dataset.ready = "yes";
}

load().catch((error) => { fill(content, el("p", { class: "trouble" }, error.message)); say(error.message, true); });
