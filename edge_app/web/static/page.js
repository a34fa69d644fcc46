// Send one X-ray, show the answer. All words stand in the page; this file only fills them in.

const byId = (id) => document.getElementById(id);
const form = byId("upload");
const input = byId("file");
const drop = byId("drop");
let latest = 0;
let expires = Infinity;

// A live region is announced when its text changes while it stands in the page.
function show(name, progress = "") {
  for (const id of ["problem", "result"]) byId(id).hidden = id !== name;
  byId("progress").textContent = progress;
}

function showProblem(message) {
  byId("problem-message").textContent = message;
  show("problem");
}

const words = (id) => byId(id).innerHTML.trim();

function percent(share, digits = 0) {
  const text = (value) => new Intl.NumberFormat(document.documentElement.lang, {
    style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits,
  }).format(value);
  const [least, most] = [0.1 ** (digits + 2), 1 - 0.1 ** (digits + 2)]; // never 0 % or 100 %
  if (share < least) return `<${text(least)}`;
  return share > most ? `>${text(most)}` : text(share);
}

function clearResult() {
  for (const id of ["picture", "heatmap"]) byId(id).removeAttribute("src");
  byId("file-name").textContent = "";
  expires = Infinity;
}

function expire() {
  if (Date.now() < expires) return;
  clearResult();
  show("nothing", words("expired"));
}

async function send(files) {
  const ticket = ++latest; // an older answer never replaces a newer one
  clearResult();
  if (files.length !== 1) return showProblem(words(files.length ? "one-only" : "no-file"));
  const [file] = files;
  if (file.size > Number(form.dataset.maxBytes)) return showProblem(words("too-large"));
  show("progress", words("looking"));
  const body = new FormData();
  body.append("file", file);
  try {
    const response = await fetch("predict", { method: "POST", body });
    const answer = await response.json();
    if (ticket !== latest) return;
    if (!response.ok) return showProblem(answer.message);
    fill(answer, file.name);
    await Promise.all([...document.querySelectorAll("#result img[src]")].map((image) => image.decode()));
    if (ticket !== latest) return;
    show("result");
    byId("result").focus();
    expires = Date.now() + 60000 * Number(form.dataset.minutes);
  } catch {
    if (ticket === latest) showProblem(words("unreachable"));
  }
}

function fill(answer, name) {
  const { probability, threshold } = answer;
  const fractured = probability >= threshold;
  // as few digits as tell the probability from the threshold
  const digits = [0, 1, 2, 3].find((n) => percent(probability, n) !== percent(threshold, n)) ?? 4;
  byId("result").classList.toggle("is-fractured", fractured);
  byId("verdict-sign").setAttribute("href", fractured ? "#sign-fractured" : "#sign-normal");
  byId("answer").textContent = answer.prediction;
  byId("file-name").textContent = name;
  byId("probability").textContent = percent(probability, digits);
  byId("threshold").textContent = percent(threshold, digits);
  byId("confidence").textContent = percent(answer.confidence, digits);
  byId("scale-fill").style.width = `${100 * probability}%`;
  byId("scale-threshold").style.left = `${100 * threshold}%`;
  byId("scale").setAttribute("aria-label", byId("probability-line").textContent);
  byId("picture").src = answer.picture;
  byId("heatmap").hidden = byId("heatmap-caption").hidden = answer.heatmap === null;
  byId("no-evidence").hidden = answer.heatmap !== null;
  if (answer.heatmap !== null) byId("heatmap").src = answer.heatmap;
  byId("device").textContent = answer.device;
  byId("elapsed").textContent = `${Math.round(answer.elapsed_ms)} ms`;
}

input.addEventListener("change", () => {
  if (input.files.length) send([...input.files]);
  input.value = "";
});
form.addEventListener("submit", (event) => event.preventDefault());
for (const type of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    event.preventDefault(); // a miss must not make the browser open the file
    drop.classList.toggle("is-over", type === "dragover");
  });
}
document.addEventListener("drop", (event) => {
  const { files } = event.dataTransfer;
  const idle = byId("result").hidden && !byId("progress").textContent;
  if (files.length || idle) send([...files]); // a slip of the mouse wipes no answer
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) send([...event.clipboardData.files]);
});
byId("again").addEventListener("click", () => input.click());
// By the clock, not by a timer: a sleeping PC stops timers.
setInterval(expire, 1000);
document.addEventListener("visibilitychange", expire);
