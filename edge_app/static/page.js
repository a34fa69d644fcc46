// Send one X-ray, show the answer. All words stand in the page; this file only fills them in.

const byId = (id) => document.getElementById(id);
const form = byId("upload");
const input = byId("file");
const drop = byId("drop");
const sections = ["progress", "problem", "result"];
let latest = 0;

function show(name) {
  for (const id of sections) byId(id).hidden = id !== name;
}

function showProblem(message) {
  byId("problem-message").textContent = message;
  show("problem");
}

const words = (id) => byId(id).innerHTML.trim();
const percent = (share) => new Intl.NumberFormat(document.documentElement.lang, {
  style: "percent", maximumFractionDigits: share > 0.01 && share < 0.99 ? 0 : 1,
}).format(share);

async function send(files) {
  if (files.length !== 1) return showProblem(words("one-only"));
  const [file] = files;
  if (file.size > Number(form.dataset.maxBytes)) return showProblem(words("too-large"));
  const ticket = ++latest; // an older answer never replaces a newer one
  show("progress");
  const body = new FormData();
  body.append("file", file);
  try {
    const response = await fetch("predict", { method: "POST", body });
    const answer = await response.json();
    if (ticket !== latest) return;
    if (response.ok) showResult(answer);
    else showProblem(answer.message);
  } catch {
    if (ticket === latest) showProblem(words("unreachable"));
  }
}

function showResult(answer) {
  const fractured = answer.probability >= answer.threshold;
  byId("result").classList.toggle("is-fractured", fractured);
  byId("verdict-sign").setAttribute("href", fractured ? "#sign-fractured" : "#sign-normal");
  byId("answer").textContent = answer.prediction;
  byId("probability").textContent = percent(answer.probability);
  byId("confidence").textContent = percent(answer.confidence);
  byId("threshold").textContent = percent(answer.threshold);
  byId("scale-fill").style.width = `${100 * answer.probability}%`;
  byId("scale-threshold").style.left = `${100 * answer.threshold}%`;
  byId("scale").setAttribute("aria-label", byId("probability-line").textContent);
  byId("picture").src = answer.picture;
  byId("heatmap").hidden = byId("heatmap-caption").hidden = answer.heatmap === null;
  byId("no-evidence").hidden = answer.heatmap !== null;
  if (answer.heatmap === null) byId("heatmap").removeAttribute("src");
  else byId("heatmap").src = answer.heatmap;
  byId("device").textContent = answer.device;
  byId("elapsed").textContent = `${Math.round(answer.elapsed_ms)} ms`;
  show("result");
  byId("result").focus();
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
document.addEventListener("drop", (event) => send([...event.dataTransfer.files]));
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) send([...event.clipboardData.files]);
});
byId("again").addEventListener("click", () => input.click());
