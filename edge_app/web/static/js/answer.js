// An answer in words and signs.

import { number, percents, word } from "./words.js";

const byId = (id) => document.getElementById(id);

export function kindOf({ prediction, uncertain }) {
  if (uncertain) return "uncertain";
  return prediction === "Normal" ? "normal" : "fractured";
}

// The odds of the probability over those of the threshold, as a logarithm.
const distance = ({ probability, threshold }) => {
  const logit = (share) => Math.log(share / (1 - share));
  return logit(probability) - logit(threshold);
};

function comparison(answer) {
  const far = Math.abs(distance(answer));
  const side = answer.probability >= answer.threshold ? "above" : "below";
  if (far < 0.4) return `just-${side}`;
  return far > 2 ? `far-${side}` : side;
}

export const sentence = (answer) =>
  word(comparison(answer), percents(answer.probability, answer.threshold));

// Why a picture was not judged, in the page's language where its code is known.
export function problemSentence({ code, kind, message, tag }) {
  if (code === "unsupported_image" && kind) return word(`kind-${kind}`);
  return word(`error-${code}`, { tag }) ?? (code?.startsWith("http_") || !message ? word("error-other") : message);
}

export function sign(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `sign is-${kind}`);
  svg.innerHTML = `<use href="#sign-${kind}"></use>`;
  return svg;
}

// Where a probability stands on the gauge, in percent. Its zones are equally wide: below the threshold and above
// it, and where the model can rule a fracture out, the uncertain ones between.
export function place(probability, threshold, ruleOut) {
  const marks = ruleOut ? [0, ruleOut, threshold, 1] : [0, threshold, 1];
  const zones = marks.length - 1;
  const zone = Math.min(zones - 1, marks.findLastIndex((mark) => probability >= mark));
  return (100 * (zone + (probability - marks[zone]) / (marks[zone + 1] - marks[zone]))) / zones;
}

// What a DICOM header says of the view.
function factsOf(header) {
  const { laterality, body_part: part, view } = header ?? {};
  const facts = [laterality && word(`side-${laterality}`), part && word("body-part", { part }), view && word("view-position", { view })];
  return facts.filter(Boolean).join(" · ");
}

export function fillAnswer(answer) {
  const kind = kindOf(answer);
  const gauge = byId("judged").querySelector(".gauge");
  const stand = (probability) => `${place(probability, answer.threshold, Number(gauge.dataset.ruleOut))}%`;
  const [least, middle, most] = byId("judged").querySelectorAll(".gauge-ends span");
  byId("judged").className = `is-${kind}`;
  byId("verdict-sign").setAttribute("href", `#sign-${kind}`);
  byId("verdict").textContent = word(kind);
  byId("sentence").textContent = sentence(answer);
  byId("needle").style.insetInlineStart = stand(answer.probability);
  middle.style.insetInlineStart = stand(answer.threshold);
  middle.textContent = percents(answer.probability, answer.threshold).threshold;
  least.textContent = number(0, { style: "percent" });
  most.textContent = number(1, { style: "percent" });
  byId("next").textContent = word(`next-${kind}`);
  byId("quality").hidden = answer.quality?.accepted ?? true;
  byId("quality").textContent = answer.quality?.reasons.map((reason) => word(`quality-${reason}`)).join(" ");
  byId("device").textContent = answer.device;
  byId("facts").textContent = factsOf(answer.header);
  byId("elapsed").textContent = answer.elapsed_ms === undefined ? "" : number(Math.round(answer.elapsed_ms), { style: "unit", unit: "millisecond" });
  const hint = kind === "fractured" ? "fractured" : "normal";
  byId("heat-caption").textContent = word(`${answer.heatmap ? "" : "no-"}heat-${hint}`);
}

export const summary = (picture) => picture.answer
  ? `${picture.name}: ${word(kindOf(picture.answer))}. ${sentence(picture.answer)}`
  : `${picture.name}: ${problemSentence(picture.problem)}`;

