// What was brought in during this sitting: in this page's memory only.

export class Picture {
  state = "waiting"; // waiting, looking, done, failed or stopped
  answer = null;
  problem = null; // { code, kind, message }
  thumbnail = null; // a small canvas

  constructor(file) {
    this.file = file;
    this.name = file.name;
  }

  address = "predict";

  get files() {
    return [this.file];
  }

  get isOpen() {
    return this.state === "waiting" || this.state === "looking";
  }

  settle(answer) {
    Object.assign(this, { answer, state: "done" });
  }

  isSameFile({ name, size, lastModified }) {
    const mine = this.file;
    return mine.name === name && mine.size === size && mine.lastModified === lastModified;
  }
}

// Several views of one patient, judged together; `settle` also gives each view its own answer.
export class Study extends Picture {
  address = "studies";

  constructor(views, name) {
    super({ name });
    this.views = views;
  }

  get files() {
    return this.views.map(({ file }) => file);
  }

  settle({ study, views, device }) {
    views.forEach((view, at) => {
      if (view.error) Object.assign(this.views[at], { state: "failed", problem: { code: view.error, ...view } });
      else this.views[at].settle({ ...view, device });
    });
    if (study) super.settle({ ...study, device, heatmap: this.worst.answer.heatmap });
    else Object.assign(this, { state: "failed", problem: this.why });
  }

  // Why there is no answer for all views together.
  get why() {
    const isJudged = this.views.some(({ answer }) => answer);
    return isJudged ? { code: "several_patients" } : this.views[0].problem;
  }

  // The view that speaks most for a fracture.
  get worst() {
    const judged = this.views.filter(({ answer }) => answer);
    return judged.reduce((one, other) => (other.answer.probability > one.answer.probability ? other : one));
  }
}

// An entry is what was brought in at once: one picture, a table of several, or a study.
export class Sitting extends EventTarget {
  entries = [];
  entry = null; // the one that is shown
  picture = null; // the one of its pictures that is shown; none where the table is

  add(pictures, study = null) {
    const entry = { pictures, study };
    this.entries.unshift(entry);
    this.show(entry);
    return entry;
  }

  // The entry of a file that was brought in already: a double click must not judge it twice.
  find(file) {
    return this.entries.find(({ pictures }) => pictures.length === 1 && pictures[0].isSameFile(file));
  }

  show(entry, picture = entry?.study ?? (entry?.pictures.length === 1 ? entry.pictures[0] : null)) {
    Object.assign(this, { entry, picture });
    this.changed();
  }

  remove(entry) {
    this.entries = this.entries.filter((each) => each !== entry);
    if (this.entry === entry) this.show(this.entries[0] ?? null);
    this.changed();
  }

  get pictures() {
    return this.entries.flatMap(({ pictures }) => pictures);
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
