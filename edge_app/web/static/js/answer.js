// An answer in words and signs.

import { number, percents, word } from "./words.js";

const byId = (id) => document.getElementById(id);

export const kindOf = ({ prediction }) => (prediction === "Normal" ? "normal" : "fractured");

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
export function problemSentence({ code, kind, message }) {
  if (code === "unsupported_image" && kind) return word(`kind-${kind}`);
  return word(`error-${code}`) ?? (code?.startsWith("http_") || !message ? word("error-other") : message);
}

export function sign(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `sign is-${kind}`);
  svg.innerHTML = `<use href="#sign-${kind}"></use>`;
  return svg;
}

// Where a probability stands on the gauge, in percent: the threshold is its middle.
export const place = ({ probability, threshold }) => probability < threshold
  ? (50 * probability) / threshold
  : 50 + (50 * (probability - threshold)) / (1 - threshold);

export function fillAnswer(answer) {
  const kind = kindOf(answer);
  const [least, , most] = byId("judged").querySelectorAll(".gauge-ends span");
  byId("judged").className = `is-${kind}`;
  byId("verdict-sign").setAttribute("href", `#sign-${kind}`);
  byId("verdict").textContent = word(kind);
  byId("sentence").textContent = sentence(answer);
  byId("needle").style.insetInlineStart = `${place(answer)}%`;
  byId("judged").querySelector(".gauge-ends span:nth-child(2)").textContent =
    percents(answer.probability, answer.threshold).threshold;
  least.textContent = number(0, { style: "percent" });
  most.textContent = number(1, { style: "percent" });
  byId("next").textContent = word(`next-${kind}`);
  byId("device").textContent = answer.device;
  byId("elapsed").textContent = number(Math.round(answer.elapsed_ms), { style: "unit", unit: "millisecond" });
  byId("heat-caption").textContent = word(`${answer.heatmap ? "" : "no-"}heat-${kind}`);
}

export const summary = (picture) => picture.answer
  ? `${picture.name}: ${word(kindOf(picture.answer))}. ${sentence(picture.answer)}`
  : `${picture.name}: ${problemSentence(picture.problem)}`;

