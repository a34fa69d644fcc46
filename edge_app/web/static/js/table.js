// Many X-rays at once: the table, worst first, and its file.

import { kindOf, problemSentence, sign } from "./answer.js";
import { number, percents, word } from "./words.js";

const byId = (id) => document.getElementById(id);
const RANKS = { done: 0, failed: 1, stopped: 2, looking: 3, waiting: 4 };

export const worstFirst = (pictures) => [...pictures].sort((one, other) =>
  RANKS[one.state] - RANKS[other.state] || (other.answer?.probability ?? 0) - (one.answer?.probability ?? 0));

// `open(picture)` is called for the row that a person chooses.
export function fillTable(pictures, open) {
  const done = pictures.filter(({ isOpen }) => !isOpen).length;
  byId("table-title").textContent = word("table-of", { count: number(pictures.length) });
  byId("table-count").textContent = word("progress", { done: number(done), all: number(pictures.length) });
  Object.assign(byId("table-progress"), { max: pictures.length, value: done, hidden: done === pictures.length });
  byId("stop").hidden = done === pictures.length;
  const focused = document.activeElement?.dataset.at;
  byId("rows").replaceChildren(...worstFirst(pictures).map((picture) => row(picture, pictures.indexOf(picture), open)));
  if (focused) byId("rows").querySelector(`[data-at="${focused}"]`)?.focus({ preventScroll: true });
}

function row(picture, at, open) {
  const { answer } = picture;
  const line = document.createElement("tr");
  const [file, told, probability] = [cell(line, "th"), cell(line, "td"), cell(line, "td")];
  file.scope = "row";
  file.append(answer ? opener(picture, at, open) : bdi(picture.name));
  if (answer) {
    told.append(sign(kindOf(answer)), word(kindOf(answer)));
    probability.textContent = percents(answer.probability, answer.threshold).probability;
    line.className = `is-${kindOf(answer)}`;
  } else {
    told.textContent = picture.problem ? `${word("failed")}: ${problemSentence(picture.problem)}` : word(picture.state);
  }
  return line;
}

function opener(picture, at, open) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "link" });
  button.dataset.at = at;
  button.append(bdi(picture.name));
  button.addEventListener("click", () => open(picture));
  return button;
}

function bdi(text) {
  return Object.assign(document.createElement("bdi"), { textContent: text });
}

function cell(line, tag) {
  return line.appendChild(document.createElement(tag));
}

// The table as a file for a spreadsheet (RFC 4180).
export function csvOf(pictures) {
  const head = ["file", "answer", "probability", "threshold", "note"].map((name) => word(`column-${name}`));
  const lines = worstFirst(pictures).map(({ name, answer, problem, state }) => answer
    ? [name, word(kindOf(answer)), answer.probability.toFixed(4), answer.threshold.toFixed(4), word("notice")]
    : [name, word(problem ? "failed" : state), "", "", problem ? problemSentence(problem) : ""]);
  return [head, ...lines].map((line) => line.map(quoted).join(",")).join("\r\n");
}

// A name that begins like a formula must not become one.
const quoted = (text) => `"${text.replace(/^[=+\-@\t]/, "'$&").replaceAll('"', '""')}"`;

// Hand a file to the person, from memory.
export function save(content, name, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
