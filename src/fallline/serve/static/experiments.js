// The list of improvements and searches.

import { ask, content, el, fill, say, table, when } from "/static/dom.js";

const WORDS = { improvement: "improvement", search: "search" };

function row(line) {
  const count = line.kind === "search" ? `${line.entries} ${line.entries === 1 ? "trial" : "trials"}` : `${line.entries} ${line.entries === 1 ? "experiment" : "experiments"}`;
  return [el("a", { href: `/experiments/${encodeURIComponent(line.name)}` }, line.name), WORDS[line.kind] ?? line.kind, line.problem || count,
    line.kept.length ? line.kept.join(", ") : line.kind === "search" ? "" : "nothing yet", when(line.changed)];
}

async function load() {
  const found = await ask("GET", "/api/experiments");
  fill(content, found.studies.length
    ? table("Improvements and searches, the latest first", ["name", "what", "so far", "kept", "changed"], found.studies.map(row), { stacked: true, hidden: true })
    : el("p", {}, "There are none yet. In a terminal: ", el("code", {}, "fallline improve data.csv --target COLUMN"), ", or ",
      el("code", {}, "fallline search data.csv --target COLUMN --journal search.jsonl"), "."),
  el("p", { class: "small" }, `Looked for in ${found.roots.join(" and ")}.`));
  content.dataset.ready = "yes";
}

const trouble = (error) => say(error.message, true);
load().catch((error) => { fill(content, el("p", { class: "trouble" }, error.message)); trouble(error); });
setInterval(() => { if (!document.hidden && content.dataset.ready && !content.contains(document.activeElement)) load().catch(trouble); }, 5000);
