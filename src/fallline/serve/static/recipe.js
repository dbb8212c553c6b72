// The part of a form in which a recipe is edited and sent.

import { ask, el, fill, id, runAddress } from "/static/dom.js";

export function recipeField(text) {
  const name = id("recipe");
  const area = el("textarea", { id: name, rows: "18", spellcheck: "false", autocomplete: "off", "aria-describedby": `${name}-about` });
  area.value = text;
  return { area, node: el("div", { class: "field wide" }, el("label", { for: name }, "Recipe"),
    area, el("p", { class: "small", id: `${name}-about` }, "TOML; entries that are left out are taken from the preset.")) };
}

export function nameField() {
  const name = id("name");
  const input = el("input", { type: "text", id: name, maxlength: "60", autocomplete: "off", "aria-describedby": `${name}-about` });
  return { input, node: el("div", { class: "field" }, el("label", { for: name }, "Name"), input,
    el("p", { class: "small", id: `${name}-about` }, "May be left empty; a number is put behind it.")) };
}

// A form that sends what `body()` returns, goes to the new run, and shows every mistake where it was made.
export function form(words, address, body, ...fields) {
  const trouble = el("div", { role: "alert" });
  const button = el("button", { type: "submit", class: "main" }, words);
  return el("form", { novalidate: true, onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    fill(trouble);
    try {
      const { name } = await ask("POST", address, body());
      location.href = runAddress(name);
    } catch (error) {
      fill(trouble, el("pre", { class: "trouble", tabindex: "0" }, error.message));
      button.disabled = false;
    }
  } }, ...fields, trouble, el("p", { class: "actions" }, button));
}
