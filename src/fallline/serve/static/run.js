// One run: its curves while they grow, its findings, its inside, its scores and its recipe.

import { LEVELS, METRICS, apiAddress, ask, badge, content, duration, el, entitle, facts, fill, id, listen, number, percent, say, scored, section, statusBadge, table, when } from "/static/dom.js";
import { Chart, ofRun } from "/static/chart.js";
import { heatMap } from "/static/heat.js";
import { form, nameField, recipeField } from "/static/recipe.js";

const name = decodeURIComponent(location.pathname.split("/")[2]);
const OUTCOMES = { completed: "all epochs were run", stopped_early: "stopped when the validation loss no longer fell", diverged: "the loss stopped being a finite number", interrupted: "stopped from outside" };
const WHO = { model: "this network", dummy: "no inputs", linear: "linear model" };
const ROWS = { test: "untouched rows", out_of_fold: "rows, each predicted by networks that did not train on it", validation: "validation rows" };
const PHASES = { prepare: "preparing the table", compile: "compiling", train: "at work", score: "scoring", save: "saving" };

const parts = Object.fromEntries(["tiles", "actions", "trouble", "findings", "curves", "inside", "scores", "recipe", "facts", "fork"].map((key) => [key, el("div", { class: `part part-${key}` })]));
const charts = new Map();
let view = null, forkOpen = null;

function tile(term, value, below) {
  return el("div", { class: "tile" }, el("dt", {}, term), el("dd", { class: "value" }, value), below ? el("dd", { class: "below" }, below) : null);
}

function showTiles() {
  const { line, live, facts: known, scores, charts: curves } = view, best = known.best_epoch;
  const tiles = [tile("state", statusBadge(line), OUTCOMES[line.outcome] ?? (line.status === "training" ? PHASES[live?.phase] ?? "at work" : ""))];
  if (line.status === "training" && live?.epochs) {
    const bar = el("progress", { max: String(live.epochs), value: String(live.epoch), "aria-label": "epochs done" });
    tiles.push(tile("epoch", [number(live.epoch), el("span", { class: "soft" }, ` of at most ${number(live.epochs)}`)], bar));
    tiles.push(tile("networks at work", `${live.active} of ${live.members}`, duration(live.seconds)));
    const val = live.charts[0]?.lines.find((l) => l.key === "val") ?? live.charts[0]?.lines[0];
    if (val) tiles.push(tile(`${val.key === "val" ? "validation" : "training"} loss`, number(val.y.at(-1))));
  } else {
    const own = scores?.find((score) => score.who === "model");
    if (own && line.outcome !== "diverged") tiles.push(tile(METRICS[own.metric] ?? own.metric, scored(own.metric, own.value), `on ${number(own.n)} ${ROWS[own.rows] ?? own.rows}`));
    const epochs = Math.max(0, ...(curves ?? []).flatMap((chart) => chart.lines.map((l) => l.x.at(-1) ?? 0)));
    if (epochs) tiles.push(tile("epochs", number(epochs), best ? `best: ${number(best)}` : ""));
    if (line.seconds !== null) tiles.push(tile("took", duration(line.seconds), when(line.created)));
  }
  fill(parts.tiles, el("dl", { class: "tiles" }, tiles));
}

function showActions() {
  const { line, job, fork, report } = view, buttons = [];
  if (job?.running) {
    buttons.push(el("button", { type: "button", class: "main", id: "stop", disabled: job.stopping, onclick: stop }, job.stopping ? "Stopping …" : "Stop and save"));
  }
  if (line.status === "interrupted" && fork.possible) buttons.push(el("button", { type: "button", class: "main", id: "resume", onclick: resume }, "Go on"));
  if (fork.possible) buttons.push(el("button", { type: "button", id: "fork", "aria-expanded": String(Boolean(forkOpen)), onclick: toggleFork }, "Fork …"));
  if (report) buttons.push(el("a", { class: "button", href: `${apiAddress(name)}/report` }, "Report"));
  buttons.push(el("a", { class: "button", href: `/compare?run=${encodeURIComponent(name)}` }, "Compare"));
  fill(parts.actions, el("p", { class: "actions" }, buttons),
    !fork.possible && line.status !== "unusable" && view.facts.kind ? el("p", { class: "small" }, `It cannot be forked here: ${fork.reason}`) : null);
}

async function stop() {
  try { await ask("DELETE", `/api/jobs/${encodeURIComponent(name)}`); say("Stopping after the current step of work, then saving."); } catch (error) { say(error.message, true); }
  await load();
}

async function resume() {
  try { await ask("POST", `${apiAddress(name)}/resume`, {}); say("The training goes on."); } catch (error) { say(error.message, true); }
  await load();
}

function toggleFork() {
  forkOpen = forkOpen ? null : forkForm();
  fill(parts.fork, forkOpen);
  document.getElementById("fork").setAttribute("aria-expanded", String(Boolean(forkOpen)));
  forkOpen?.querySelector("textarea").focus();
}

function forkForm() {
  const recipe = recipeField(view.fork.recipe), own = nameField();
  return section("Fork: the same table, another recipe",
    el("p", { class: "small" }, `A new run on ${view.fork.data}. Its content has to be the same as for this run.`),
    form("Start the fork", `${apiAddress(name)}/fork`, () => ({ recipe: recipe.area.value, name: own.input.value }), own.node, recipe.node));
}

function showTrouble() {
  const { line, job, live, problem } = view, found = [];
  const words = problem || line.problem;
  if (words) found.push(el("article", { class: "remark serious" }, el("h2", { class: "minor" }, line.status === "unusable" ? "This folder cannot be shown" : "A remark"), el("p", {}, words)));
  if (job && !job.running && job.code) {
    const stopped = job.stopping || job.code === 130;
    found.push(el("article", { class: `remark ${stopped ? "note" : "serious"}` }, el("h2", { class: "minor" }, stopped ? "The training was stopped" : "The training failed"), job.said ? el("pre", { tabindex: "0" }, job.said) : null));
  }
  if (live?.damaged) found.push(el("p", { class: "trouble" }, `${live.damaged} lines of the live curves are damaged and left out.`));
  fill(parts.trouble, found);
}

function showFindings() {
  const live = view.charts ? null : view.live, findings = (live ? live.findings : view.findings) ?? [];
  if (!live && !view.findings) { fill(parts.findings); return []; }
  const marks = [];
  const shown = findings.map((finding, i) => {
    const [, word] = LEVELS[finding.severity] ?? LEVELS.note;
    const level = finding.symptom === "good-fit" ? "good" : finding.severity, mark = String(i + 1);
    if (finding.epoch) marks.push({ epoch: finding.epoch, mark, level });
    return el("article", { class: `remark ${level}` },
      el("h3", {}, badge(level, mark), el("span", { class: "level" }, `${level === "good" ? "Good" : word}: `), finding.symptom.replaceAll("-", " "),
        el("span", { class: "aside" }, [finding.layer && `layer ${finding.layer}`, finding.epoch && `epoch ${number(finding.epoch)}`, `confidence ${percent(finding.confidence)}`].filter(Boolean).join(" · "))),
      el("p", {}, finding.message), finding.cause ? el("p", { class: "small" }, `Likely cause: ${finding.cause}`) : null,
      finding.what_to_try?.length ? el("p", { class: "small" }, `Try: ${finding.what_to_try.join("; ")}.`) : null,
      finding.treatments?.length ? el("p", { class: "small" }, "Treatments: ", finding.treatments.map((t, k) => [k ? ", " : "", el("code", {}, t)])) : null);
  });
  const silent = Object.keys(view.not_examined ?? {}).sort().map((s) => s.replaceAll("-", " ")).join(", ");
  fill(parts.findings, section(live ? "Findings so far" : "Findings", shown.length ? shown : el("p", {}, live ? "Nothing so far." : "Nothing is wrong as far as was examined."),
    silent ? el("p", { class: "small" }, `Not examined, because it was not watched: ${silent}.`) : null));
  return marks;
}

function showCurves(marks) {
  const found = (view.line.status === "training" && view.live?.charts.length ? view.live.charts : view.charts ?? view.live?.charts) ?? [];
  for (const key of [...charts.keys()]) if (!found.some((chart) => chart.name === key)) charts.delete(key);
  for (const chart of found) {
    const spec = ofRun(chart, chart.name === "loss" ? marks : []);
    if (charts.has(chart.name)) charts.get(chart.name).draw(spec);
    else charts.set(chart.name, new Chart(spec));
  }
  const nodes = found.map((chart) => charts.get(chart.name).node);
  const old = [...parts.curves.querySelectorAll("figure.chart")];
  if (old.length === nodes.length && old.every((node, i) => node === nodes[i])) return;
  fill(parts.curves, nodes.length ? section("Learning curves", nodes[0], el("div", { class: "row" }, nodes.slice(1).map((node) => el("div", {}, node)))) : null);
}

const GROUPS = [["Gradients", ["gradient_norm", "gradient_sd", "gradient_mean", "gradient_max"]], ["Activations", ["activation_sd", "activation_mean", "activation_rms", "saturated_share", "dead_share", "zero_share", "constant_share", "preactivation_sd"]],
  ["Weights", ["weight_norm", "weight_sd", "weight_mean", "update_ratio", "update_norm", "twin_share"]]];

function showInside() {
  const { inside } = view;
  if (!inside || !(inside.maps.length || inside.network.length)) { fill(parts.inside); return; }
  const boxes = GROUPS.map(([words, names]) => {
    const maps = names.map((key) => inside.maps.find((map) => map.name === key)).filter(Boolean);
    if (!maps.length) return null;
    const place = el("div", {}), field = id("statistic");
    const show = (key) => fill(place, heatMap(inside, maps.find((map) => map.name === key)));
    const select = el("select", { id: field, onchange: () => show(select.value) }, maps.map((map) => el("option", { value: map.name }, map.name.replaceAll("_", " "))));
    show(maps[0].name);
    return el("div", {}, el("div", { class: "field" }, el("label", { for: field }, words), select), place);
  });
  const network = inside.network.map((one) => el("div", {}, new Chart({ title: one.name.replaceAll("_", " "), log: logWanted(one.line.y), series: [{ look: "plain", label: "", ...one.line }] }).node));
  fill(parts.inside, section("Inside the network",
    el("p", { class: "small" }, `Layers from input (top) to output, over the epochs${inside.members > 1 ? `; medians over ${inside.members} networks` : ""}.${inside.reason ? ` ${inside.reason}` : ""}`),
    el("div", { class: "row" }, boxes), network.length ? el("h3", {}, "The whole network") : null, el("div", { class: "row" }, network)));
}

function logWanted(values) {
  const there = values.filter((v) => v !== null);
  return there.length > 0 && Math.min(...there) > 0 && Math.max(...there) / Math.min(...there) > 30;
}

function showScores() {
  const { scores } = view;
  if (!scores?.length) { fill(parts.scores); return; }
  const metrics = [...new Set(scores.map((s) => s.metric))], who = [...new Set(scores.map((s) => s.who))];
  const cell = (w, m) => {
    const s = scores.find((one) => one.who === w && one.metric === m);
    if (!s) return "";
    return [scored(m, s.value), s.low !== null && s.high !== null ? el("span", { class: "soft" }, ` (${scored(m, s.low)} to ${scored(m, s.high)})`) : null];
  };
  const head = ["", ...metrics.map((m) => METRICS[m] ?? m)];
  fill(parts.scores, section("Scores", table(`On ${number(scores[0].n)} ${ROWS[scores[0].rows] ?? scores[0].rows}; in brackets 95 % intervals`, head,
    who.map((w) => [WHO[w] ?? w, ...metrics.map((m) => cell(w, m))]), { stacked: true, numeric: metrics.map((_, k) => k + 1) })));
}

function showRecipe() {
  fill(parts.recipe, view.recipe ? section("Recipe", el("pre", { class: "toml", tabindex: "0", role: "region", "aria-label": "Recipe as TOML" }, el("code", {}, view.recipe))) : null);
}

function showFacts() {
  const { facts: known, line } = view;
  const words = { kind: "kind of problem", source: "table", target_names: "to predict", n_rows: "rows", parameters: "parameters", loss: "loss", temperature: "temperature", fingerprint: "fingerprint of the table", notes: "notes" };
  const pairs = Object.entries(words).filter(([key]) => known[key] !== undefined && known[key] !== null && String(known[key])).map(([key, word]) => [word, typeof known[key] === "number" ? number(known[key]) : Array.isArray(known[key]) ? known[key].join("; ") : String(known[key])]);
  if (line.created) pairs.push(["begun", when(line.created)]);
  fill(parts.facts, pairs.length ? section("Facts", facts(pairs)) : null);
}

function showAll() {
  showTiles(); showActions(); showTrouble();
  showCurves(showFindings());
  showInside(); showScores(); showRecipe(); showFacts();
}

async function load() {
  try {
    view = await ask("GET", apiAddress(name));
    showAll();
    content.dataset.ready = "yes";
  } catch (error) { say(error.message, true); fill(parts.trouble, el("p", { class: "trouble" }, error.message)); }
}

entitle(name);
fill(content, parts.tiles, parts.actions, parts.trouble, parts.fork, parts.curves, parts.findings, parts.inside, parts.scores, parts.recipe, parts.facts);
await load();
listen(`${apiAddress(name)}/events`, {
  live: (live) => {
    if (!view) return;
    view.live = live;
    if (view.line.status !== "training") { load(); return; }
    showTiles();
    showCurves(showFindings());
    if (live.phase !== "train") say(PHASES[live.phase] ?? live.phase);
  },
  changed: ({ exists }) => (exists || view?.job ? load() : say(`${name} is gone.`, true)),
});
