// Colour maps for the heat map. Brightness rises throughout in the first two, so that they read the same to
// colour-blind eyes; the rainbow is there for those who are used to it.

const STOPS = {
  inferno: ["000004", "160b39", "420a68", "6a176e", "932667", "bc3754", "dd513a", "f37819", "fca50a", "f6d746", "fcffa4"],
  cividis: ["00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369", "e1cc55", "fee838"],
  jet: ["00007f", "0000ff", "007fff", "00ffff", "7fff7f", "ffff00", "ff7f00", "ff0000", "7f0000"],
};

const channels = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));

// 256 colours, each red, green, blue.
export function colourMap(name) {
  const stops = STOPS[name].map(channels);
  return Array.from({ length: 256 }, (_, level) => {
    const at = (level / 255) * (stops.length - 1);
    const [low, high] = [stops[Math.floor(at)], stops[Math.ceil(at)]];
    return low.map((value, channel) => Math.round(value + (high[channel] - value) * (at % 1)));
  });
}

// The heat map as a picture: coloured by warmth, and the warmer the more it covers.
export function paintHeat(levels, name) {
  const map = colourMap(name);
  const painted = new ImageData(levels.width, levels.height);
  for (let at = 0; at < levels.grey.length; at++) {
    const level = levels.grey[at];
    painted.data.set(map[level], 4 * at);
    painted.data[4 * at + 3] = level;
  }
  return canvasOf(painted);
}

export function paintBar(canvas, name) {
  const row = new ImageData(256, 1);
  colourMap(name).forEach((colour, level) => row.data.set([...colour, 255], 4 * level));
  canvas.getContext("2d").putImageData(row, 0, 0);
}

export function canvasOf(pixels) {
  const canvas = Object.assign(document.createElement("canvas"), { width: pixels.width, height: pixels.height });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}
