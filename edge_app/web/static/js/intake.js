// How X-rays come in: dropped, pasted, chosen; files, folders, discs.

import { isIndex, missingFrom } from "./disc.js";

const STARTS = ["\xff\xd8\xff", "\x89PNG", "II*\0", "MM\0*", "BM"];

// `take(files, leftOut, missing)` is called with what came; `leftOut` counts a folder's files that are no pictures,
// `missing` names those that its list of contents names and that did not come.
export function takeFiles(take) {
  document.addEventListener("dragover", veil);
  document.addEventListener("dragleave", veil);
  document.addEventListener("drop", async (event) => {
    veil(event);
    const { files, inFolders } = await dropped(event.dataTransfer);
    const { pictures, leftOut, missing } = await picturesOf(inFolders);
    take([...files, ...pictures], leftOut, missing);
  });
  document.addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData.files.length) take([...clipboardData.files], 0, []);
  });
}

// Listen to the two choosers of a page that was just made.
export function listenToChoosers(take) {
  const [file, folder] = ["file", "folder"].map((id) => document.getElementById(id));
  file.addEventListener("change", () => chosen(file, (files) => take(files, 0, [])));
  folder.addEventListener("change", () => chosen(folder, async (files) => {
    const { pictures, leftOut, missing } = await picturesOf(files.map((each) => ({ file: each, path: each.webkitRelativePath })));
    take(pictures, leftOut, missing);
  }));
}

async function chosen(input, then) {
  const files = [...input.files];
  if (files.length) await then(files);
  input.value = ""; // the same file may be chosen again
}

function veil(event) {
  event.preventDefault(); // a miss must not make the browser open the file
  document.getElementById("veil").hidden = event.type !== "dragover";
}

// Loose files, and those in folders; of a disc that is dropped as what lies on it, everything is in its folder.
async function dropped(transfer) {
  // Read at once: after the first wait a drop is empty.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...transfer.files];
  const isDisc = files.some(isIndex);
  const folders = entries.filter(({ isDirectory }) => isDirectory || isDisc);
  if (!folders.length) return { files, inFolders: [] };
  const names = new Set(folders.map(({ name }) => name));
  const inFolders = (await Promise.all(folders.map(filesUnder))).flat();
  return { files: files.filter(({ name }) => !names.has(name)), inFolders };
}

async function filesUnder(entry) {
  if (entry.isFile) return [{ file: await new Promise((done, fail) => entry.file(done, fail)), path: entry.fullPath }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return (await Promise.all(found.map(filesUnder))).flat();
    found.push(...some);
  }
}

// A folder's pictures. A disc carries a viewer with pictures of its own: beside DICOM files only these count.
async function picturesOf(found) {
  const files = found.map(({ file }) => file);
  const kinds = await Promise.all(files.map(pictureKind));
  const kind = kinds.includes("dicom") ? "dicom" : "picture";
  const pictures = files.filter((_, at) => kinds[at] === kind);
  return { pictures, leftOut: files.length - pictures.length, missing: await missingFrom(found) };
}

async function pictureKind(file) {
  if (isIndex(file)) return null; // its pictures come themselves
  const bytes = await file.slice(0, 132).arrayBuffer().catch(() => new ArrayBuffer(0));
  const text = String.fromCharCode(...new Uint8Array(bytes));
  if (text.slice(128) === "DICM") return "dicom";
  const isWebp = text.startsWith("RIFF") && text.slice(8, 12) === "WEBP";
  return isWebp || STARTS.some((start) => text.startsWith(start)) ? "picture" : null;
}
