// Window and level: which grey of the X-ray becomes black, and which white. The X-ray itself stays as it came.

import { canvasOf } from "./colours.js";

export const RECEIVED = { level: 127.5, width: 255 };
const SHARES = { full: [0.01, 0.99], bone: [0.5, 0.998], soft: [0.02, 0.7] };

// Grey levels 0..255 of a decoded picture.
export function greyOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const grey = new Uint8Array(bitmap.width * bitmap.height);
  for (let at = 0; at < grey.length; at++) grey[at] = data[4 * at];
  return { width: bitmap.width, height: bitmap.height, grey };
}

// The window of a preset: from one share of the picture's greys to another. Black is the background: left out.
export function preset(name, { grey }) {
  if (!SHARES[name]) return RECEIVED;
  const counts = new Uint32Array(256);
  for (const value of grey) counts[value]++;
  counts.fill(0, 0, 8);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const levelAt = (share) => {
    let seen = 0;
    return Math.max(0, counts.findIndex((count) => (seen += count) >= share * total));
  };
  const [low, high] = SHARES[name].map(levelAt);
  return { level: (low + high) / 2, width: Math.max(1, high - low) };
}

// The X-ray through a window, as a picture.
export function tone(picture, { level, width, invert }) {
  const look = new Uint32Array(256);
  for (let value = 0; value < 256; value++) {
    const share = Math.min(1, Math.max(0, (value - level) / width + 0.5));
    const shown = Math.round(255 * (invert ? 1 - share : share));
    look[value] = 0xff000000 | (shown << 16) | (shown << 8) | shown;
  }
  const toned = new ImageData(picture.width, picture.height);
  const pixels = new Uint32Array(toned.data.buffer);
  for (let at = 0; at < pixels.length; at++) pixels[at] = look[picture.grey[at]];
  return canvasOf(toned);
}
