// One improvement, experiment by experiment, or one search: its U-curves and all its trials.

import { METRICS, ask, content, el, entitle, facts, fill, number, say, scored, section, table } from "/static/dom.js";
import { gains, parallel, scatter } from "/static/scatter.js";

const name = decodeURIComponent(location.pathname.split("/").at(-1));
let shown = "";

function words(metric) { return METRICS[metric] ?? metric; }

function step(one) {
  const rows = one.arms.map((arm) => [arm.name, arm.treatments.join(", "), number(arm.mean), `${number(arm.low)} to ${number(arm.high)}`,
    number(arm.p_adjusted, 2), arm.decision + (arm.more_seeds ? ` (${arm.more_seeds} more ${arm.more_seeds === 1 ? "seed" : "seeds"} would decide)` : "") + (arm.name === one.kept ? " — kept" : "")]);
  const reasons = one.arms.filter((arm) => arm.reason);
  return section(`${one.number}. ${one.intent}`,
    facts([["stage", one.stage], ["on top of", one.after.join(", ") || "the control as it was"], ["method", one.method], ["finding", one.finding]]),
    gains(one.arms),
    table(`${one.number}. Gain in ${words(one.metric)} (${one.higher_is_better ? "higher" : "lower"} is better)`, ["arm", "treatments", "gain", "95 % interval", "p (Holm)", "decision"], rows, { stacked: true, numeric: [2, 3, 4] }),
    el("details", {}, el("summary", {}, "What was expected, and why these"), one.expectation ? el("p", {}, one.expectation) : null,
      reasons.length ? el("ul", {}, reasons.map((arm) => el("li", {}, `${arm.name}: ${arm.reason}`))) : null));
}

function improvement(found) {
  const kept = found.steps.filter((one) => one.kept);
  return [el("p", {}, found.steps.length ? `${found.steps.length} ${found.steps.length === 1 ? "experiment" : "experiments"}; kept: ${kept.map((one) => one.kept).join(", ") || "nothing yet"}.` : "No experiment is finished yet."),
    found.steps.map(step)];
}

function told(trial, entries) {
  return entries.filter((axis) => axis.name in trial.point).map((axis) => `${axis.name.split(".").at(-1)} ${typeof trial.point[axis.name] === "number" ? number(trial.point[axis.name]) : trial.point[axis.name]}`).join(", ");
}

function search(found) {
  const better = found.higher_is_better ? (a, b) => b - a : (a, b) => a - b;
  const ranked = found.trials.filter((trial) => trial.value !== null).sort((a, b) => better(a.value, b.value));
  // Short trials of a halving are no match for long ones: the best is looked for among the longest.
  const longest = Math.max(0, ...ranked.map((trial) => trial.epochs ?? Infinity).filter(Number.isFinite));
  const best = ranked.find((trial) => trial.epochs === null || trial.epochs === longest) ?? ranked[0];
  const at = (trial, axis) => { const value = trial.point[axis.name]; return value === undefined ? null : axis.numeric ? value : String(value); };
  const label = (trial) => `${told(trial, found.entries)}: ${words(found.metric)} ${scored(found.metric, trial.value)}`;
  const figures = found.entries.map((axis) => scatter({
    title: axis.name, metric: words(found.metric), log: axis.log, levels: axis.levels,
    points: found.trials.filter((trial) => at(trial, axis) !== null).map((trial) => ({ x: at(trial, axis), y: trial.value, best: trial === best, words: label(trial) })),
  }));
  const axes = [...found.entries.filter((axis) => found.trials.some((trial) => at(trial, axis) !== null)).map((axis) => ({ ...axis, values: found.trials.map((trial) => at(trial, axis)).filter((v) => typeof v === "number") })),
    { name: words(found.metric), log: false, levels: [], values: ranked.map((trial) => trial.value) }];
  const lines = ranked.map((trial) => ({ best: trial === best, words: label(trial), at: [...axes.slice(0, -1).map((axis) => at(trial, axis)), trial.value] }));
  const lost = found.trials.filter((trial) => trial.diverged).length;
  return [
    facts([["strategy", found.strategy], ["trials", String(found.trials.length)], ["best so far", best ? label(best) : "none yet"], lost ? ["with lost trainings", String(lost)] : null].filter(Boolean)),
    el("p", { class: "small" }, "The best value was selected on: nested evaluation says what to expect of it."),
    ranked.length ? section("One entry at a time", el("p", { class: "small" }, `${words(found.metric)}, ${found.higher_is_better ? "higher" : "lower"} is better; the best trial is the large dot.`), el("div", { class: "row" }, figures.map((figure) => el("div", {}, figure)))) : null,
    ranked.length && axes.length > 2 ? section("Together", parallel(axes, lines)) : null,
    ranked.length ? section("The best trials", table("Trials by value", ["trial", words(found.metric), "epochs"], ranked.slice(0, 20).map((trial) => [told(trial, found.entries), scored(found.metric, trial.value), trial.epochs === null ? "all" : number(trial.epochs)]), { stacked: true, numeric: [1, 2], hidden: true })) : null,
  ];
}

async function load() {
  const found = await ask("GET", `/api/experiments/${encodeURIComponent(name)}`);
  const now = JSON.stringify(found);
  if (now === shown) return;
  shown = now;
  entitle(found.name);
  fill(content, found.kind === "improvement" ? improvement(found) : search(found), el("p", { class: "small" }, found.file));
  content.dataset.ready = "yes";
}

load().catch((error) => { fill(content, el("p", { class: "trouble" }, error.message)); say(error.message, true); });
setInterval(() => { if (!document.hidden && content.dataset.ready) load().catch((error) => say(error.message, true)); }, 4000);
