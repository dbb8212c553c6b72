// A new training: a table, what to predict, a recipe.

import { ask, content, el, fill, say } from "/static/dom.js";
import { form, nameField, recipeField } from "/static/recipe.js";

async function load() {
  const found = await ask("GET", "/api/tables");
  if (!found.tables.length) {
    fill(content, el("p", {}, `There is no table in ${found.roots.join(", ")}. Start the page with fallline serve --data FOLDER to name another folder.`));
    content.dataset.ready = "yes";
    return;
  }
  const short = (path) => found.roots.map((root) => (path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path)).sort((a, b) => a.length - b.length)[0];
  const data = el("select", { id: "data", onchange: showColumns }, found.tables.map((path) => el("option", { value: path }, short(path))));
  const targets = el("div", { class: "field" });
  let chosen = () => [];

  async function showColumns() {
    const path = data.value;
    fill(targets, el("p", { class: "small" }, "Reading the columns …"));
    let columns = [], trouble = "";
    try { ({ columns } = await ask("GET", `/api/columns?data=${encodeURIComponent(path)}`)); } catch (error) { trouble = error.message; }
    if (data.value !== path) return;
    const input = columns.length
      ? el("select", { id: "target", multiple: true, size: String(Math.min(8, columns.length)), "aria-describedby": "target-about" },
        columns.map((name, i) => el("option", { value: name, selected: i === columns.length - 1 }, name)))
      : el("input", { id: "target", type: "text", "aria-describedby": "target-about" });
    chosen = () => (columns.length ? [...input.selectedOptions].map((option) => option.value) : [input.value.trim()].filter(Boolean));
    fill(targets, el("label", { for: "target" }, "To predict"), input,
      el("p", { class: trouble ? "trouble" : "small", id: "target-about" }, trouble || (columns.length ? "One column, or several with Ctrl." : "The name of one column.")));
    content.dataset.ready = "yes";
  }

  const recipe = recipeField(found.recipes.default), name = nameField();
  const preset = el("select", { id: "preset", onchange: () => { recipe.area.value = found.recipes[preset.value]; } },
    Object.keys(found.recipes).map((key) => el("option", { value: key }, key)));
  fill(content, form("Start the training", "/api/jobs", () => ({ data: data.value, target: chosen(), recipe: recipe.area.value, name: name.input.value }),
    el("div", { class: "fields" }, el("div", { class: "field" }, el("label", { for: "data" }, "Table"), data), targets, name.node,
      el("div", { class: "field" }, el("label", { for: "preset" }, "Begin from the recipe"), preset)), recipe.node));
  await showColumns();
}

load().catch((error) => { fill(content, el("p", { class: "trouble" }, error.message)); say(error.message, true); });
