// The list of this sitting: what was brought in, to look at again or to clear.

import { kindOf, sign } from "./answer.js";
import { number, word } from "./words.js";

// `show(entry)` and `clear(entry)` are called for what a person chooses.
export function fillHistory({ entries, entry: shown }, { show, clear }) {
  document.getElementById("sitting").hidden = !entries.length;
  document.getElementById("entries").replaceChildren(...entries.map((entry) => {
    const item = document.createElement("li");
    item.append(shower(entry, entry === shown, show), clearer(entry, clear));
    return item;
  }));
}

const nameOf = ({ pictures, study }) => study?.name ?? (pictures.length === 1 ? pictures[0].name : word("table-of", { count: number(pictures.length) }));

function shower(entry, isShown, show) {
  const first = entry.study ?? entry.pictures[0];
  const isOne = entry.study !== null || entry.pictures.length === 1;
  const button = Object.assign(document.createElement("button"), { type: "button", className: "entry" });
  if (isShown) button.setAttribute("aria-current", "true");
  button.append(isOne ? (first.thumbnail ?? blank()) : icon("table"));
  if (isOne && first.answer) {
    const kind = kindOf(first.answer);
    button.append(sign(kind), Object.assign(document.createElement("span"), { className: "unseen", textContent: word(kind) }));
  }
  button.append(Object.assign(document.createElement("bdi"), { textContent: nameOf(entry) }));
  button.addEventListener("click", () => show(entry));
  return button;
}

function clearer(entry, clear) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "clear", title: word("clear-one", { name: nameOf(entry) }) });
  button.setAttribute("aria-label", button.title);
  button.append(icon("close"));
  button.addEventListener("click", () => clear(entry));
  return button;
}

const blank = () => Object.assign(document.createElement("canvas"), { width: 48, height: 48 });

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" })) svg.setAttribute(key, value);
  svg.innerHTML = `<use href="#icon-${name}"></use>`;
  return svg;
}

// A picture in small, on black.
export function thumbnailOf(bitmap, side = 48) {
  const canvas = blank();
  const context = canvas.getContext("2d");
  const scale = side / Math.max(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (side - width) / 2, (side - height) / 2, width, height);
  return canvas;
}
