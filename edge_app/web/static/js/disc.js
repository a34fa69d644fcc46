// A disc's list of contents (DICOMDIR): what it names, and what of that did not come. Nothing it names is fetched.

const INDEX = "DICOMDIR";
const MOST_BYTES = 16 * 1024 * 1024;
// Referenced File ID (0004,1500) in explicit VR, little endian, which a list is always in (PS3.10, section 8.6).
const FILE_ID = /\x04\x00\x00\x15CS([^])\x00/g;

export const isIndex = ({ name }) => name.toUpperCase() === INDEX;

// Names of files that the lists among these files name and that are not there; `path` is a file's path as it came.
export async function missingFrom(files) {
  const came = new Set(files.map(({ path }) => path.toUpperCase()));
  const lists = files.filter(({ file }) => isIndex(file));
  const missing = await Promise.all(lists.map(async ({ file, path }) => {
    const folder = path.slice(0, -INDEX.length).toUpperCase();
    return (await namesIn(file)).filter((name) => !came.has(folder + name));
  }));
  return missing.flat();
}

async function namesIn(file) {
  const bytes = await file.slice(0, MOST_BYTES).arrayBuffer().catch(() => new ArrayBuffer(0));
  const text = new TextDecoder("latin1").decode(bytes);
  return [...text.matchAll(FILE_ID)].map(({ index, 1: length }) => {
    const start = index + 8;
    return text.slice(start, start + length.charCodeAt(0)).trim().replaceAll("\\", "/").toUpperCase();
  });
}
