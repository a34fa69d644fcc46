// Keys as in OHIF. They rest while someone types, and can be switched off in the help sheet.

const ACTIONS = {
  r: "right", l: "left", h: "flip-h", v: "flip-v", i: "invert", "+": "in", "-": "out", "=": "fit", " ": "reset",
  m: "heat", s: "beside", d: "move", w: "tone", t: "ruler", f: "full", "[": "weaker", "]": "stronger", "?": "keys",
};

const isTyping = (target, key) =>
  target.matches("select, textarea, input:not([type=range]):not([type=checkbox])")
  || (key === " " && target.matches("button, a, summary, input, label"));

// `act(action)`, `peek(isHeld)` and `preset(number)` are called for keys while `isOn()`.
export function listenToKeys({ isOn, act, peek, preset }) {
  document.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.altKey || event.metaKey || !isOn() || isTyping(event.target, key)) return;
    if (key === "p") return peek(true);
    if (/^[1-4]$/.test(key)) return preset(Number(key));
    if (!ACTIONS[key]) return;
    event.preventDefault();
    act(ACTIONS[key]);
  });
  document.addEventListener("keyup", ({ key }) => key.toLowerCase() === "p" && peek(false));
  window.addEventListener("blur", () => peek(false));
}
