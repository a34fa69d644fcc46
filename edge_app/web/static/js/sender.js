// X-rays on their way to the app: a few at once, single ones before tables, again after a lost connection.

const AT_ONCE = 2;
const TRIES = 3;
const PAUSE_MS = 1500;
const LOOK_MS = 1000;

// Why a picture was not judged. `code` is the app's stable code, or one of this page's own.
export class Problem extends Error {
  constructor(code, content = {}) {
    super(content.message ?? code);
    Object.assign(this, { code, content });
  }
}

class Lost extends Error {}

// The app has too much to do at once.
class Busy extends Error {
  constructor(seconds) {
    super("busy");
    this.seconds = seconds;
  }
}

export class Sender extends EventTarget {
  waiting = [];
  running = new Map();
  isLost = false;
  isPaused = false;

  constructor(maxBytes) {
    super();
    this.maxBytes = maxBytes;
    this.lookAtQueue();
  }

  // Send pictures; a single one goes before those that wait.
  add(pictures) {
    const batch = pictures.length > 1 ? token() : ""; // others take turns with it
    for (const picture of pictures) Object.assign(picture, { state: "waiting", answer: null, problem: null, tries: 0, batch });
    if (pictures.length === 1) this.waiting.unshift(...pictures);
    else this.waiting.push(...pictures);
    this.go();
  }

  stop(pictures) {
    this.waiting = this.waiting.filter((each) => !pictures.includes(each));
    for (const picture of pictures) {
      if (picture.isOpen) picture.state = "stopped";
      this.running.get(picture)?.abort();
    }
    this.changed();
  }

  go() {
    while (!this.isLost && !this.isPaused && this.waiting.length && this.running.size < AT_ONCE) this.send(this.waiting.shift());
    this.changed();
  }

  async send(picture) {
    const control = new AbortController();
    this.running.set(picture, control);
    Object.assign(picture, { state: "looking", ticket: token(), line: null });
    try {
      const answer = await this.ask(picture, control.signal);
      if (picture.state === "looking") picture.settle(answer);
    } catch (error) {
      if (picture.state === "looking") this.fail(picture, error);
    }
    this.running.delete(picture);
    this.go();
  }

  async ask({ files, address, ticket, batch }, signal) {
    if (files.some(({ size }) => size > this.maxBytes)) throw new Problem("image_too_large");
    const [start] = await Promise.all(files.map(startOf)).catch(() => { throw new Problem("unreadable"); });
    const body = new FormData();
    for (const file of files) body.append("file", file, "xray"); // its name may name a patient
    const headers = { "X-Ticket": ticket, "X-Batch": batch };
    const response = await fetch(address, { method: "POST", headers, body, signal }).catch(lose);
    if (response.status === 408) throw new Lost(); // it came too slowly, so it is tried again
    if (response.status === 503) throw new Busy(Number(response.headers.get("Retry-After")) || 1);
    const answer = await response.json().catch(lose);
    if (!response.ok) throw new Problem(answer.error, { ...answer, kind: kindOf(start) });
    return answer;
  }

  fail(picture, error) {
    if (error instanceof Busy) {
      this.putBack(picture);
      return this.pause(error.seconds);
    }
    if (error instanceof Lost && ++picture.tries < TRIES) {
      this.putBack(picture);
      return this.waitForApp();
    }
    const { code, content } = error instanceof Problem ? error : new Problem(error instanceof Lost ? "unreachable" : "other");
    Object.assign(picture, { state: "failed", problem: { code, ...content } });
  }

  putBack(picture) {
    picture.state = "waiting";
    this.waiting.unshift(picture);
  }

  pause(seconds) {
    this.isPaused = true;
    setTimeout(() => {
      this.isPaused = false;
      this.go();
    }, 1000 * seconds);
  }

  async waitForApp() {
    if (this.isLost) return;
    this.isLost = true;
    do await new Promise((done) => setTimeout(done, PAUSE_MS));
    while (!(await fetch("health").then(({ ok }) => ok, () => false)));
    this.isLost = false;
    this.dispatchEvent(new Event("again"));
    this.go();
  }

  // Ask for the place of what is on its way in the app's queue.
  async lookAtQueue() {
    for (const picture of this.isLost ? [] : this.running.keys()) {
      const line = await fetch(`queue?ticket=${picture.ticket}`).then((response) => response.json()).catch(() => null);
      const isNews = line?.position !== picture.line?.position;
      picture.line = line;
      if (isNews) this.changed();
    }
    setTimeout(() => this.lookAtQueue(), LOOK_MS);
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

const token = () => [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const startOf = async (file) => new Uint8Array(await file.slice(0, 512).arrayBuffer());

function lose(error) {
  throw error.name === "AbortError" ? error : new Lost();
}

// What a file is that is no picture, for a sentence of its own; null where nobody knows.
function kindOf(bytes) {
  const text = String.fromCharCode(...bytes);
  const starts = { pdf: ["%PDF"], archive: ["PK\x03\x04", "Rar!", "7z\xbc\xaf", "\xd0\xcf\x11\xe0"], gif: ["GIF8"], video: ["\x1aE\xdf\xa3", "ID3", "OggS"], program: ["MZ", "\x7fELF"] };
  const kind = Object.keys(starts).find((name) => starts[name].some((start) => text.startsWith(start)));
  if (kind) return kind;
  if (text.slice(4, 8) === "ftyp" || text.slice(8, 12) === "AVI ") return "video";
  return bytes.length && bytes.every((byte) => byte > 31 || (byte > 8 && byte < 14)) ? "text" : null;
}
