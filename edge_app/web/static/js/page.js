// The page: what is brought in, sent, shown, cleared. Its parts know nothing of each other.

import { fillAnswer, problemSentence, summary } from "./answer.js";
import { fillHistory, thumbnailOf } from "./history.js";
import { listenToChoosers, takeFiles } from "./intake.js";
import { listenToKeys } from "./keys.js";
import { addressIn } from "./language.js";
import { pixelMm } from "./ruler.js";
import { Sender } from "./sender.js";
import { Picture, Sitting, Study } from "./sitting.js";
import { csvOf, fillTable, save } from "./table.js";
import { Viewer } from "./viewer.js";
import { number, word } from "./words.js";

const MOST_VIEWS = 12; // more are no study of one limb
const MOST_NAMES = 3; // of files, in one sentence
const byId = (id) => document.getElementById(id);
const sitting = new Sitting();
const sender = new Sender(Number(byId("main").dataset.maxBytes));
let viewer;
let seen = null; // the picture whose answer the viewer shows
let keysAreOn = true;
let asked = null; // the entry of which the person may have said whose it is
let lastUse = Date.now();
let question = null; // pictures of which the person has not yet said whose they are

const say = (text) => { byId("status").textContent = text; };
const readAloud = (text) => { byId("aloud").textContent = text; }; // to the eye the answer says it

function take(files, leftOut, missing) {
  const told = [
    leftOut && word("left-out", { count: number(leftOut) }),
    missing.length && word("missing-on-disc", { count: number(missing.length), names: missing.slice(0, MOST_NAMES).join(", ") }),
  ].filter(Boolean).join(" ");
  if (!files.length) return say(told ? `${word("nothing-found")} ${told}` : word("no-file"));
  const known = files.length === 1 && sitting.find(files[0]);
  say(told);
  if (known) return sitting.show(known);
  const pictures = files.map((file) => new Picture(file));
  if (pictures.length > 1 && pictures.length <= MOST_VIEWS && byId("question").dataset.studies) return ask(pictures);
  judge(pictures);
}

function judge(pictures, study = null) {
  question = null;
  sitting.add(pictures, study);
  sender.add(study ? [study] : pictures);
}

// Only the person knows whether these X-rays show one patient.
function ask(pictures) {
  question = pictures;
  render();
  byId("question-title").focus();
}

function judgeTogether() {
  const count = number(question.length);
  judge(question, new Study(question, word("study-of", { count })));
}

// Everything that stands in the page follows from the sitting.
function render() {
  const { entry, picture } = sitting;
  byId("intake").classList.toggle("is-slim", entry !== null || question !== null);
  byId("connection").hidden = !sender.isLost;
  byId("question").hidden = !question;
  if (question) byId("question-title").textContent = word("question", { count: number(question.length) });
  byId("work").hidden = !picture || Boolean(question);
  byId("table").hidden = !entry || Boolean(picture) || Boolean(question);
  if (entry && !picture) fillTable(entry.pictures, (each) => sitting.show(entry, each));
  fillHistory(sitting, { show: (each) => sitting.show(each), clear: forget });
  if (picture) renderPicture(entry, picture);
  else leave();
}

function renderPicture(entry, picture) {
  byId("back").hidden = entry.study !== null || entry.pictures.length === 1;
  byId("together").hidden = picture !== entry.study;
  fillViews(entry, picture);
  byId("file-name").textContent = picture.name;
  byId("waiting").hidden = !picture.isOpen;
  byId("waiting").lastElementChild.textContent = waitingSentence(picture);
  byId("problem").hidden = !picture.problem && picture.state !== "stopped";
  byId("problem-message").textContent = picture.problem ? problemSentence(picture.problem) : word("stopped");
  byId("judged").hidden = !picture.answer;
  if (!picture.answer) leave();
  if (picture.isOpen || seen === picture) return;
  if (picture.answer) fillAnswer(picture.answer);
  askForPatient(entry, picture);
  seen = picture;
  readAloud(summary(picture));
  byId("answer").focus({ preventScroll: true });
  if (picture.answer) look(picture);
}

function waitingSentence({ state, views, line }) {
  if (state === "waiting") return word("waiting");
  if (!line?.position) return word(`looking${views ? "-study" : ""}`);
  const seconds = Math.max(1, Math.ceil(line.expected_wait_s));
  const time = number(seconds, { style: "unit", unit: "second", unitDisplay: "long" });
  return word("place", { count: number(line.position), time });
}

// A study's tabs: all views together, and each for itself.
function fillViews({ study }, shown) {
  const isDone = study && !study.isOpen;
  byId("views").hidden = !isDone;
  byId("views").replaceChildren(...(isDone ? [study, ...study.views] : []).map((each) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "button" });
    if (each === shown) button.setAttribute("aria-current", "true");
    button.append(Object.assign(document.createElement("bdi"), { textContent: each === study ? word("all-views") : each.name }));
    button.addEventListener("click", () => sitting.show(sitting.entry, each));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

// Who stands on the report is asked anew for everything that is brought in.
function askForPatient(entry, picture) {
  if (entry !== asked) {
    byId("patient").value = "";
    byId("from-header").checked = false;
  }
  asked = entry;
  byId("from-header").parentElement.hidden = !(picture.views ?? [picture]).some(({ answer }) => answer?.header);
}

function leave() {
  seen = null;
  viewer.close();
}

// Fetch the pictures of an answer and show them; the app may have forgotten them, then it is asked again.
async function look(picture) {
  const { answer } = picture.worst ?? picture;
  try {
    const bitmaps = await Promise.all([bitmap(answer.picture), answer.heatmap && bitmap(answer.heatmap_grey)]);
    if (seen !== picture || (picture.worst ?? picture).answer !== answer) return;
    picture.thumbnail = thumbnailOf(bitmaps[0]);
    viewer.open(...bitmaps, (picture.worst ?? picture).name, { pixelMm: pixelMm(answer, bitmaps[0]), windows: answer.header?.windows ?? [] });
    for (const [id, withHeat] of [["print-xray", false], ["print-heat", true]]) viewer.paintForPaper(byId(id), withHeat);
    fillHistory(sitting, { show: (each) => sitting.show(each), clear: forget });
  } catch {
    if (seen === picture) sender.add([picture]); // a study's views come with it
  }
}

async function bitmap(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(response.status);
  return createImageBitmap(await response.blob());
}

// Forget an entry, here and in the app's memory.
function forget(entry) {
  sender.stop([...entry.pictures, ...(entry.study ? [entry.study] : [])]);
  for (const { answer } of entry.pictures) if (answer) fetch(`results/${answer.id}`, { method: "DELETE" }).catch(() => {});
  sitting.remove(entry);
}

function forgetAll(told) {
  for (const entry of [...sitting.entries]) forget(entry);
  say(told);
}

function forgetWhenIdle() {
  const minutes = Number(byId("main").dataset.minutes);
  if (!sitting.entries.length || Date.now() - lastUse < 60000 * minutes) return;
  forgetAll(word("forgotten", { minutes: number(minutes) }));
}

async function saveReport() {
  const views = sitting.picture.views ?? [sitting.picture];
  const ids = views.filter(({ answer }) => answer).map(({ answer }) => answer.id).join(",");
  const body = new FormData();
  body.append("patient", byId("patient").value);
  if (byId("from-header").checked) body.append("from_header", "yes");
  const response = await fetch(`results/${ids}/report.pdf${location.search}`, { method: "POST", body }).catch(() => null);
  if (!response?.ok) return say(word("report-lost"));
  say("");
  save(await response.blob(), "fracture-edge.pdf", "application/pdf");
}

function act(action) {
  if (action === "keys") return byId("help").showModal();
  if (!byId("viewer").hidden) viewer.act(action);
}

// Listen to the elements of a page that was just made, or made anew in another language.
function listen() {
  viewer = new Viewer(byId("viewer"));
  listenToChoosers(take);
  const clicks = {
    back: () => sitting.show(sitting.entry),
    print: () => window.print(),
    report: saveReport,
    "one-patient": judgeTogether,
    "many-patients": () => judge(question),
    "no-patient": () => { question = null; render(); },
    stop: () => sender.stop(sitting.entry.pictures),
    csv: () => save(`\ufeff${csvOf(sitting.entry.pictures)}`, "fracture-edge.csv", "text/csv"),
    clear: () => forgetAll(word("cleared")),
  };
  for (const [id, click] of Object.entries(clicks)) byId(id).addEventListener("click", click);
  byId("intake").addEventListener("submit", (event) => event.preventDefault());
  byId("viewer").querySelector('[data-action="keys"]').addEventListener("click", () => act("keys"));
  byId("keys-on").checked = keysAreOn;
  byId("keys-on").addEventListener("change", ({ target }) => { keysAreOn = target.checked; });
  byId("language").addEventListener("change", ({ target }) => speak(target.value));
}

// The same page in another language: everything that was brought in stays.
async function speak(language) {
  const address = addressIn(language);
  const response = await fetch(address).catch(() => null);
  if (!response?.ok) return say(word("error-unreachable"));
  const next = new DOMParser().parseFromString(await response.text(), "text/html");
  history.replaceState(null, "", address);
  Object.assign(document.documentElement, { lang: next.documentElement.lang, dir: next.documentElement.dir });
  document.body.replaceWith(document.adoptNode(next.body));
  seen = asked = null;
  listen();
  render();
  byId("language").focus();
}

takeFiles(take);
listenToKeys({
  isOn: () => keysAreOn && !byId("help").open,
  act,
  peek: (isHeld) => viewer.peek(isHeld),
  preset: (n) => viewer.usePresetNumber(n),
});
listen();
sitting.addEventListener("change", render);
sender.addEventListener("change", () => {
  lastUse = Date.now();
  render();
});
sender.addEventListener("again", () => say(word("again")));
for (const use of ["pointerdown", "keydown", "wheel", "drop", "change"]) {
  document.addEventListener(use, () => { lastUse = Date.now(); }, { capture: true, passive: true });
}
window.addEventListener("beforeunload", (event) => {
  if (sitting.pictures.some(({ isOpen }) => isOpen)) event.preventDefault();
});
// By the clock, not by a timer: a sleeping PC stops timers.
setInterval(forgetWhenIdle, 1000);
document.addEventListener("visibilitychange", forgetWhenIdle);
