// The viewer: an X-ray and its heat map on one canvas.

import { paintBar, paintHeat } from "./colours.js";
import { inMillimetres, lengthMm, paintLine, paintScale } from "./ruler.js";
import { RECEIVED, greyOf, preset, tone } from "./tones.js";
import { number, word } from "./words.js";

const START = { zoom: 1, x: 0, y: 0, turn: [1, 0, 0, 1], invert: false, line: null, ...RECEIVED, preset: "received" };
const HEAT = { heat: true, opacity: 0.65, colours: "inferno", beside: false, drag: "move" };
const ZOOMS = [0.25, 16];
const PRESETS = ["received", "full", "bone", "soft"];
// Matrices [a, b, c, d] as a canvas takes them, applied to what is seen: after any turn before.
const TURNS = { right: [0, 1, -1, 0], left: [0, -1, 1, 0], "flip-h": [-1, 0, 0, 1], "flip-v": [1, 0, 0, -1] };

const after = ([a, b, c, d], [e, f, g, h]) => [
  a * e + c * f, b * e + d * f, a * g + c * h, b * g + d * h,
];
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Viewer {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector("#canvas");
    this.view = { ...START, ...HEAT };
    this.listen();
  }

  // Show an X-ray (a bitmap) with its heat map (a grey bitmap, or null). Colours and strength stay as chosen.
  // `pixelMm` is the size of a pixel, across and down, or null; the first of `windows` is the one it came in.
  open(bitmap, heatBitmap, name, { pixelMm, windows }) {
    Object.assign(this, { picture: greyOf(bitmap), levels: heatBitmap && greyOf(heatBitmap), pixelMm, windows });
    this.offerWindows();
    if (!pixelMm && this.view.drag === "ruler") this.view.drag = "move";
    this.canvas.setAttribute("aria-label", word("xray-of", { name }));
    this.root.hidden = false;
    Object.assign(this.view, START);
    this.toned = this.warm = null;
    this.draw();
  }

  close() {
    this.picture = this.levels = this.toned = this.warm = null;
    this.root.hidden = true;
  }

  change(changes) {
    const before = this.view;
    this.view = { ...before, ...changes };
    if (["level", "width", "invert"].some((name) => before[name] !== this.view[name])) this.toned = null;
    if (before.colours !== this.view.colours) this.warm = null;
    this.draw();
  }

  act(action, at) {
    const { view } = this;
    if (TURNS[action]) return this.change({ turn: after(TURNS[action], view.turn) });
    const actions = {
      in: () => this.zoom(1.25, at),
      out: () => this.zoom(0.8, at),
      fit: () => this.change({ zoom: 1, x: 0, y: 0 }),
      reset: () => this.change(START),
      invert: () => this.change({ invert: !view.invert }),
      heat: () => this.change({ heat: !view.heat }),
      beside: () => this.change({ beside: !view.beside }),
      move: () => this.change({ drag: "move" }),
      tone: () => this.change({ drag: "tone" }),
      ruler: () => this.pixelMm && this.change({ drag: "ruler" }),
      full: () => (document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen()),
      stronger: () => this.change({ opacity: clamp(view.opacity + 0.1, 0, 1) }),
      weaker: () => this.change({ opacity: clamp(view.opacity - 0.1, 0, 1) }),
    };
    return actions[action]?.();
  }

  usePreset(name) {
    if (!this.picture || name === "own") return;
    const offered = this.windows[name.split("-")[1]];
    const window = offered ? { level: offered.centre, width: Math.max(1, offered.width) } : preset(name, this.picture);
    this.change({ ...window, preset: name });
  }

  // The windows that the X-ray's file offers besides the one that it is shown in.
  offerWindows() {
    const select = this.root.querySelector("#preset");
    for (const option of select.querySelectorAll('[value^="window-"]')) option.remove();
    const options = this.windows.map(({ name }, at) => new Option(name || word("window-of", { number: number(at + 1) }), `window-${at}`));
    select.options[0].after(...options.slice(1));
  }

  usePresetNumber(n) {
    if (PRESETS[n - 1]) this.usePreset(PRESETS[n - 1]);
  }

  peek(isHeld) {
    this.peeking = isHeld;
    this.draw();
  }

  // Enlarge by a factor; the point `at` (from the pane's centre, CSS pixels) stays where it is.
  zoom(factor, at = [0, 0]) {
    const zoom = clamp(this.view.zoom * factor, ...ZOOMS);
    const by = zoom / this.view.zoom;
    this.change({ zoom, x: at[0] + (this.view.x - at[0]) * by, y: at[1] + (this.view.y - at[1]) * by });
  }

  drag(dx, dy, isTone) {
    const { x, y, level, width } = this.view;
    if (!isTone) return this.change({ x: x + dx, y: y + dy });
    this.change({
      level: clamp(level + dy / 2, 0, 255), width: clamp(width + dx / 2, 1, 510), preset: "own",
    });
  }

  draw() {
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      if (!this.picture || this.root.hidden) return;
      this.paint();
      this.tell();
    });
  }

  paint() {
    const { canvas, view } = this;
    const ratio = devicePixelRatio;
    const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio].map(Math.round);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    const heat = view.heat && !this.peeking;
    const panes = view.beside ? [false, heat] : [heat];
    panes.forEach((withHeat, at) => {
      const pane = { left: (at * width) / panes.length, width: width / panes.length, height };
      this.paintPane(context, pane, withHeat, ratio);
    });
  }

  paintPane(context, pane, withHeat, ratio) {
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.beginPath();
    context.rect(pane.left, 0, pane.width, pane.height);
    context.clip();
    const [a, b, c, d] = this.view.turn;
    const scale = this.view.zoom * this.fit(pane);
    const middle = [pane.left + pane.width / 2 + this.view.x * ratio, pane.height / 2 + this.view.y * ratio];
    context.setTransform(scale * a, scale * b, scale * c, scale * d, ...middle);
    this.paintPicture(context, withHeat);
    context.setTransform(1, 0, 0, 1, 0, 0);
    const onCanvas = ([x, y]) => [middle[0] + scale * (a * x + c * y), middle[1] + scale * (b * x + d * y)];
    if (this.pixelMm) this.paintMeasures(context, pane, scale, onCanvas, ratio);
    context.restore();
  }

  // What lies over the picture and does not turn with it.
  paintMeasures(context, pane, scale, onCanvas, ratio) {
    const { line } = this.view;
    const [across, down] = this.pixelMm;
    context.globalAlpha = 1;
    paintScale(context, pane, (this.isLying ? down : across) / scale, ratio);
    if (line) paintLine(context, line.map(onCanvas), inMillimetres(lengthMm(line, this.pixelMm)), ratio);
  }

  // Centred on the origin, in the picture's own pixels.
  paintPicture(context, withHeat) {
    const { width, height } = this.picture;
    this.toned ??= tone(this.picture, this.view);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.toned, -width / 2, -height / 2);
    if (!withHeat || !this.levels) return;
    this.warm ??= paintHeat(this.levels, this.view.colours);
    context.globalAlpha = this.view.opacity;
    context.drawImage(this.warm, -width / 2, -height / 2, width, height);
  }

  // How many canvas pixels a picture pixel takes when the whole picture fills a pane.
  fit(pane) {
    const { width, height } = this.picture;
    return Math.min(pane.width / (this.isLying ? height : width), pane.height / (this.isLying ? width : height));
  }

  get isLying() {
    return this.view.turn[0] === 0;
  }

  // Paint one of the two pictures for paper, upright and as received.
  paintForPaper(canvas, withHeat, longest = 1000) {
    const { view, toned } = this;
    const scale = longest / Math.max(this.picture.width, this.picture.height);
    Object.assign(canvas, { width: this.picture.width * scale, height: this.picture.height * scale });
    const context = canvas.getContext("2d");
    context.translate(canvas.width / 2, canvas.height / 2);
    context.scale(scale, scale);
    Object.assign(this, { view: { ...view, ...START }, toned: null });
    this.paintPicture(context, withHeat);
    Object.assign(this, { view, toned });
  }

  // The controls say what is seen.
  tell() {
    const { view, root } = this;
    const pressed = {
      heat: view.heat, beside: view.beside, invert: view.invert, move: view.drag === "move",
      tone: view.drag === "tone", ruler: view.drag === "ruler", full: document.fullscreenElement === root,
    };
    for (const [action, isOn] of Object.entries(pressed)) {
      root.querySelector(`[data-action="${action}"]`).setAttribute("aria-pressed", isOn);
    }
    root.querySelector("#opacity").value = Math.round(100 * view.opacity);
    root.querySelector("#colours").value = view.colours;
    root.querySelector("#preset").value = view.preset;
    for (const name of ["opacity", "colours"]) root.querySelector(`#${name}`).disabled = !this.levels;
    root.querySelector('[data-action="heat"]').disabled = !this.levels;
    root.querySelector('[data-action="ruler"]').hidden = !this.pixelMm;
    root.querySelector("#heat-scale").hidden = !this.levels;
    paintBar(root.querySelector("#heat-bar"), view.colours);
    this.canvas.classList.toggle("is-tone", view.drag === "tone");
    const state = word("view-state", {
      zoom: number(view.zoom, { style: "percent" }),
      brightness: number(Math.round(255 - view.level)),
      contrast: number(Math.round((100 * 255) / view.width)),
    });
    const length = view.line && inMillimetres(lengthMm(view.line, this.pixelMm));
    root.querySelector("#view-state").textContent = length ? `${state} · ${length}` : state;
  }

  listen() {
    const { root, canvas } = this;
    root.addEventListener("click", ({ target }) => this.act(target.closest("[data-action]")?.dataset.action));
    root.querySelector("#opacity").addEventListener("input", ({ target }) => this.change({ opacity: target.value / 100 }));
    root.querySelector("#colours").addEventListener("change", ({ target }) => this.change({ colours: target.value }));
    root.querySelector("#preset").addEventListener("change", ({ target }) => this.usePreset(target.value));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(1.0015 ** -event.deltaY, this.fromCentre(event));
    }, { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.act("fit"));
    canvas.addEventListener("keydown", (event) => this.moveByKey(event));
    new ResizeObserver(() => this.draw()).observe(canvas);
    root.addEventListener("fullscreenchange", () => this.draw());
    this.listenToPointers();
  }

  moveByKey(event) {
    const by = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (!by) return;
    event.preventDefault();
    this.drag(...by, false);
  }

  // Left button: what the tools say; right button: brightness and contrast; two fingers: zoom and move.
  listenToPointers() {
    const { canvas } = this;
    const held = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      held.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
      if (this.measures(event, held)) this.change({ line: [this.toPicture(event), this.toPicture(event)] });
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = held.get(event.pointerId);
      if (!last) return;
      if (this.measures(event, held) && this.view.line) return this.change({ line: [this.view.line[0], this.toPicture(event)] });
      if (held.size === 2) this.pinch([...held.values()].find((each) => each !== last), last, event);
      const isTone = event.buttons === 2 || (event.buttons === 1 && this.view.drag === "tone");
      const share = 1 / held.size;
      this.drag((event.clientX - last.clientX) * share, (event.clientY - last.clientY) * share, isTone && held.size === 1);
      held.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => held.delete(event.pointerId));
    }
  }

  measures({ buttons }, held) {
    return this.view.drag === "ruler" && buttons === 1 && held.size === 1;
  }

  // The place under the mouse, in the picture's own pixels from its middle.
  toPicture(event) {
    const { zoom, x, y, beside, turn: [a, b, c, d] } = this.view;
    const { width, height } = this.canvas.getBoundingClientRect();
    const scale = zoom * this.fit({ width: beside ? width / 2 : width, height });
    const [right, below] = this.fromCentre(event);
    const [u, v] = [(right - x) / scale, (below - y) / scale];
    return [a * u + b * v, c * u + d * v];
  }

  pinch(still, last, now) {
    const distance = (event) => Math.hypot(event.clientX - still.clientX, event.clientY - still.clientY);
    if (distance(last) > 0) this.zoom(distance(now) / distance(last), this.fromCentre(still));
  }

  fromCentre(event) {
    const box = this.canvas.getBoundingClientRect();
    const width = this.view.beside ? box.width / 2 : box.width;
    return [((event.clientX - box.left) % width) - width / 2, event.clientY - box.top - box.height / 2];
  }
}
