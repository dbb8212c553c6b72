// Building blocks: elements, numbers, requests. Text from runs becomes text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(2)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

export function el(tag, attributes, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

export function id(stem) {
  id.last = (id.last ?? 0) + 1;
  return `${stem}-${id.last}`;
}

export function fill(place, ...children) {
  place.replaceChildren(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
}

export function entitle(words) {
  document.getElementById("title").textContent = words;
  document.title = `${words} · fallline`;
}

export const content = document.getElementById("content");

// What a screen reader is told, and a line at the foot of the page.
export function say(words, trouble = false) {
  const place = document.getElementById("status");
  place.textContent = words;
  place.classList.toggle("trouble", trouble);
}

// ---------------------------------------------------------------------------------------------------------- requests

export async function ask(method, address, body) {
  let answer;
  try {
    answer = await fetch(address, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("The server does not answer. Is `fallline serve` still running?");
  }
  if (answer.status === 401) throw new Error("This session is closed: open the link that the terminal shows.");
  let found;
  try {
    found = await answer.json();
  } catch {
    throw new Error(`The server answered ${answer.status}, which was not expected.`);
  }
  if (!answer.ok) throw new Error(found.error ?? `The server answered ${answer.status}.`);
  return found;
}

export const runAddress = (name) => `/runs/${encodeURIComponent(name)}`;
export const apiAddress = (name) => `/api/runs/${encodeURIComponent(name)}`;

export function listen(address, handlers) {
  const source = new EventSource(address);
  let lost = false;
  for (const [name, handler] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handler(JSON.parse(event.data)));
  }
  source.addEventListener("error", () => {
    if (!lost) say("The connection is lost; trying again …", true);
    lost = true;
  });
  source.addEventListener("open", () => {
    if (lost) say("Connected again.");
    lost = false;
  });
  addEventListener("pagehide", () => source.close());
  return source;
}

// ----------------------------------------------------------------------------------------------------------- numbers

const MINUS = "\u2212", THIN = "\u202f";
const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

function grouped(digits) {
  let [whole, rest] = digits.replace("-", MINUS).split(".");
  if (whole.replace(MINUS, "").length > 4) whole = whole.replace(/\B(?=(\d{3})+$)/g, THIN);
  return rest ? `${whole}.${rest}` : whole;
}

export function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return grouped(String(value));
  const power = Math.floor(Math.log10(Math.abs(value)));
  if (power >= 6 || power < -4) {
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    const raised = [...String(Number(exponent))].map((sign) => RAISED[sign]).join("");
    return `${mantissa.replace("-", MINUS)}${THIN}×${THIN}10${raised}`;
  }
  return grouped(value.toFixed(Math.max(0, digits - 1 - power)));
}

export function percent(value, digits = 3) {
  return value === null || value === undefined ? "–" : `${number(100 * value, digits)}${THIN}%`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 1) return "< 1 s";
  if (seconds < 90) return `${number(seconds, 2)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${number(seconds / 3600, 2)} h`;
}

export function when(created) {
  const date = new Date(created);
  if (!created || Number.isNaN(date.getTime())) return "";
  return date.toLocaleString(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
}

export const METRICS = {
  log_loss: "log loss", accuracy: "accuracy", auc: "AUC", rmse: "RMSE", mae: "mean absolute error", r2: "R²", mse: "MSE",
};

export function scored(metric, value, digits = 3) {
  return metric === "accuracy" ? percent(value, digits) : number(value, digits);
}

// ------------------------------------------------------------------------------------------------------------ pieces

export const LEVELS = { note: ["i", "Note"], warning: ["!", "Warning"], serious: ["✕", "Serious"] };

export function badge(level, sign) {
  return el("span", { class: `badge ${level}`, "aria-hidden": "true" }, sign);
}

const STATUS = {
  training: ["▸", "training", "note"], finished: ["✓", "finished", "good"], interrupted: ["‖", "interrupted", "warning"],
  unusable: ["✕", "unusable", "serious"],
};

export function statusBadge(line) {
  let [sign, words, level] = STATUS[line.status] ?? ["?", line.status, "note"];
  if (line.outcome === "diverged") [sign, words, level] = ["✕", "diverged", "serious"];
  return el("span", { class: "state" }, badge(level, sign), el("span", {}, words));
}

// A table that scrolls inside itself and turns into cards on a phone.
export function table(caption, head, rows, { numeric = [], stacked = false, hidden = false } = {}) {
  const cell = (tag, inner, k, extra) =>
    el(tag, { class: numeric.includes(k) ? "figure" : null, "data-label": stacked && k ? head[k] : null, ...extra },
      stacked && k ? el("span", {}, inner) : inner);
  const roles = (role) => (stacked ? { role } : {});
  return el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    el("table", { class: stacked ? "stacked" : null, ...roles("table") },
      el("caption", { class: hidden ? "unseen" : null }, caption),
      el("thead", roles("rowgroup"), el("tr", roles("row"), head.map((name, k) => cell("th", name, k, { scope: "col", ...roles("columnheader") })))),
      el("tbody", roles("rowgroup"), rows.map((row) => el("tr", roles("row"), row.map((inner, k) =>
        k === 0 ? cell("th", inner, k, { scope: "row", ...roles("rowheader") }) : cell("td", inner, k, roles("cell"))))))));
}

export function section(title, ...children) {
  const name = id("section");
  return el("section", { "aria-labelledby": name }, el("h2", { id: name }, title), ...children);
}

export function facts(pairs) {
  return el("dl", { class: "facts" }, pairs.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}
