// Distances on an X-ray: only where its file says how large its pixels are at the patient.

import { number } from "./words.js";

const STEPS_MM = [1, 2, 5, 10, 20, 50, 100, 200];
const INK = "#ffd166";

// Millimetres of a shown pixel, across and down; null where the file tells no calibrated distance.
export function pixelMm({ header, size_px: [height, width] }, shown) {
  if (!header?.spacing_mm) return null;
  const [down, across] = header.spacing_mm;
  return [(across * width) / shown.width, (down * height) / shown.height];
}

export const lengthMm = ([from, to], [across, down]) =>
  Math.hypot((to[0] - from[0]) * across, (to[1] - from[1]) * down);

export const inMillimetres = (mm) => number(mm, { style: "unit", unit: "millimeter", maximumFractionDigits: 1 });

// A bar of some millimetres in the lower corner where no words stand; `mm` is that of a canvas pixel.
export function paintScale(context, pane, mm, ratio) {
  const step = STEPS_MM.findLast((each) => each / mm <= pane.width / 4) ?? STEPS_MM[0];
  const [length, margin] = [step / mm, 12 * ratio];
  const left = document.dir === "rtl" ? pane.left + margin : pane.left + pane.width - margin - length;
  const ends = [[left, pane.height - margin], [left + length, pane.height - margin]];
  paintLine(context, ends, inMillimetres(step), ratio);
}

// A line between two places on the canvas, with what it means above its middle.
export function paintLine(context, [from, to], text, ratio) {
  for (const [width, colour] of [[4, "#000"], [2, INK]]) {
    Object.assign(context, { lineWidth: width * ratio, strokeStyle: colour, lineCap: "butt" });
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  }
  Object.assign(context, { textAlign: "center", font: `${13 * ratio}px ${getComputedStyle(context.canvas).fontFamily}`, fillStyle: INK, lineWidth: 3 * ratio, strokeStyle: "#000" });
  const middle = [(from[0] + to[0]) / 2, Math.max(from[1], to[1], 24 * ratio) - 8 * ratio];
  context.strokeText(text, ...middle);
  context.fillText(text, ...middle);
}
