// What the screens show and what they may do: one desk a panel and dataset, which outlives the panel's redrawing.
import { Outbox } from "./outbox.js";
import { Run, isOpen } from "./run.js";

const REVIEWER = "winnow.review.reviewer";
const DIGITS = 9;
const PAGE_SIZES = { labels: 40, patches: 40, predictions: 40, duplicates: 12, leaks: 12 };
const DECISIONS = { accept: "accepted", keep: "kept", label: "labelled", unsure: "unsure" };

/** What is decided about in a queue: "groups" of images, "sets" of labels of an image, or single "labels". */
export function familyOf({ kind, several }) {
  if (kind === "duplicates" || kind === "leaks") {
    return "groups";
  }
  return several ? "sets" : "labels";
}

/** `call(method, params)` returns a promise of what the panel's Python method returns. */
export class Desk {
  constructor(call, imageOf) {
    this.call = (method, params) => call(method, params);
    this.imageOf = imageOf;
    this.version = 0;
    this.listeners = new Set();
    this.screen = "start"; // start, cells, review, apply
    this.help = false;
    this.filter = false; // whether a class is being picked
    this.grid = false;
    this.cellAt = 0;
    this.about = null; // what `start` answered
    this.error = null;
    this.run = null;
    this.outbox = null;
    this.skipped = [];
    this.said = null;
    this.favourites = []; // classes that have a digit
    this.favouritesOf = {}; // kind of queue -> these, once they were changed
    this.plan = null;
    this.begin();
  }

  subscribe = (listener) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = () => this.version;

  changed = () => {
    this.version += 1;
    this.listeners.forEach((listener) => listener());
  };

  /** Read anew what waits; also after the dataset or the view of the App has changed. */
  async begin(options = {}) {
    this.error = null;
    try {
      const answer = await this.call("start", options);
      if (answer.error) {
        throw new Error(answer.error);
      }
      if (this.about?.dataset !== answer.dataset) {
        this.sitDown(answer);
      }
      this.about = { ...answer, prediction_field: options.prediction_field };
      this.cellAt = Math.min(this.cellAt, Math.max(answer.cells.length - 1, 0));
    } catch (failure) {
      this.error = String(failure?.message ?? failure);
    }
    this.changed();
  }

  sitDown({ dataset, reviewer }) {
    this.favouritesOf = {};
    this.run = null;
    this.screen = "start";
    this.outbox = new Outbox({
      dataset,
      reviewer: window.localStorage.getItem(REVIEWER) || reviewer,
      call: this.call,
      heard: this.heard,
      changed: this.changed,
    });
  }

  /** The view that the review began on, whatever the App shows by now. */
  get scope() {
    return this.about?.scope ?? null;
  }

  /** What a label may be changed to. */
  get classes() {
    return this.about.queues.find((queue) => queue.kind === this.run?.kind)?.classes ?? this.about.classes;
  }

  get reviewer() {
    return this.outbox?.reviewer ?? "";
  }

  set reviewer(name) {
    this.outbox.reviewer = name;
    window.localStorage.setItem(REVIEWER, name);
    this.changed();
  }

  /** What the server made of decisions that were sent to it. */
  heard = (operation, answer) => {
    for (const each of answer.skipped ?? []) {
      this.skipped.push(each);
      this.run?.skip(each);
    }
    for (const item of answer.items ?? []) {
      this.run?.replace(item);
    }
    if (!this.run && !this.outbox.unsaved) {
      this.begin({ prediction_field: this.predictionField }); // what waits has changed since it was counted
    }
    this.changed();
  };

  open(queue) {
    if (queue.kind === "predictions") {
      this.show("cells");
    } else {
      this.walk(queue, {});
    }
  }

  get predictionField() {
    return this.about?.prediction_field ?? this.about?.prediction_fields[0] ?? null;
  }

  /** Choose another cell of the confusion matrix, that many further on. */
  strideCells(by) {
    this.cellAt = Math.min(Math.max(this.cellAt + by, 0), this.about.cells.length - 1);
    this.changed();
  }

  openCell({ given, predicted } = this.about.cells[this.cellAt] ?? {}) {
    if (given !== undefined) {
      this.walk({ kind: "predictions" }, { cell: { given, predicted }, prediction_field: this.predictionField });
    }
  }

  walk(queue, { cell, ...fields }) {
    const { kind } = queue;
    this.grid = false;
    this.favourites = this.favouritesOf[kind] ?? (queue.classes ?? this.about.classes).slice(0, DIGITS);
    this.run = new Run({
      kind,
      family: familyOf(queue),
      context: { scope: this.scope, ...fields },
      cell,
      page: (params) => this.call("page", params),
      imageOf: this.imageOf,
      changed: this.changed,
      pageSize: PAGE_SIZES[kind],
    });
    this.show("review");
  }

  show(screen) {
    this.screen = screen;
    this.filter = false;
    this.said = null;
    this.plan = null;
    if (screen === "start" || screen === "cells") {
      this.run = null;
      this.begin({ prediction_field: this.predictionField });
    }
    this.changed();
  }

  /** Go one screen back. */
  leave() {
    const before = this.run?.kind === "predictions" ? "cells" : "start";
    this.show({ apply: "review", review: before }[this.screen] ?? "start");
  }

  toggle(name) {
    this[name] = !this[name];
    this.changed();
  }

  /** The items that a key means: the selected ones, else the current one. */
  get meant() {
    const { run } = this;
    const chosen = this.grid ? run.items.filter((item) => run.selected.has(item.key)) : [];
    return chosen.length ? chosen : run.item ? [run.item] : [];
  }

  /** Decide about what is meant by one of the contract's words, with the class of "label". */
  decide(decision, label = null) {
    const items = this.meant;
    const able = decision === "accept" ? items.filter((item) => item.suggested || item.changes?.length) : items;
    if (!able.length) {
      this.tell(items.length ? "Nothing is suggested here: keep it, or choose a class." : null);
      return;
    }
    this.settle(able, (item) => ({ decision, label: decision === "accept" ? (item.suggested ?? null) : label }));
    const what = label === null ? DECISIONS[decision] : `labelled ${label}`;
    this.tell(able.length > 1 ? `${able.length} images: ${what}.` : null);
  }

  /** Make those of the suggested changes of the current image's labels that are marked so; in the grid, all of them. */
  decideSet() {
    if (this.grid) {
      this.decide("accept");
      return;
    }
    const marks = this.run.item && this.marksOf(this.run.item);
    if (marks && Object.keys(marks).length) {
      this.settle([this.run.item], () => ({ decision: "mark", marks }));
      this.tell(null);
    }
  }

  /** Decide about the current group: "mark" as shown, "apart", "keep all" or "unsure". */
  decideGroup(decision) {
    const item = this.run.item;
    if (!item) {
      return;
    }
    const marks = decision === "mark" ? this.marksOf(item) : null;
    if (marks && !Object.values(marks).includes("keep")) {
      this.tell("One image of a group has to stay. Keep one, or all (S).");
      return;
    }
    this.settle([item], () => ({ decision, marks }));
    this.tell(null);
  }

  settle(items, decisionOf) {
    // A second decision is about what was shown before the first, which the server has made of it by now.
    const again = items.filter((item) => item.mine).map((item) => item.key);
    if (again.length) {
      this.outbox.back(this.run.kind, this.run.context, again);
    }
    const steps = items.map((item) => ({ key: item.key, seen: item.seen, ...present(decisionOf(item)) }));
    this.run.decide(items, decisionOf);
    for (const item of items.filter((each) => each.changes)) {
      item.drafted = null; // what counts is in `mine` now
    }
    this.outbox.save(this.run.kind, this.run.context, steps);
  }

  marksOf(item) {
    const all = item.mine?.decision ?? "accept";
    const changes = Object.fromEntries((item.changes ?? []).map(({ label }) => [label, all]));
    return item.drafted ?? item.mine?.marks ?? item.marks ?? item.proposed ?? changes;
  }

  /** Mark a change of the current image's labels to be made, or not; one that nothing suggests is dropped then. */
  toggleChange(label) {
    const { item } = this.run;
    const { [label]: mark, ...others } = this.marksOf(item);
    const suggested = item.changes.some((change) => change.label === label);
    const turned = mark === "accept" ? "keep" : "accept";
    item.drafted = mark === "accept" && !suggested ? others : { ...others, [label]: turned };
    this.changed();
  }

  toggleMember(index) {
    const item = this.run.item;
    const member = item?.members[index];
    if (member) {
      const marks = this.marksOf(item);
      item.drafted = { ...marks, [member.id]: marks[member.id] === "remove" ? "keep" : "remove" };
      this.changed();
    }
  }

  undo() {
    const keys = this.run.undo();
    if (keys.length) {
      this.outbox.back(this.run.kind, this.run.context, keys);
    }
    const what = keys.length === 1 ? "the last decision" : `${keys.length} decisions`;
    this.tell(keys.length ? `Took back ${what}.` : "Nothing to take back.");
  }

  selectHere() {
    const { selected, item } = this.run;
    if (item) {
      selected[selected.has(item.key) ? "delete" : "add"](item.key);
      this.changed();
    }
  }

  selectAll() {
    this.run.selected = new Set(this.run.open.map((item) => item.key));
    this.changed();
  }

  /** Move in the grid; with `selecting`, what was passed is selected. */
  stride(by, selecting) {
    const { run } = this;
    const from = run.at;
    run.move(by);
    if (selecting) {
      const [low, high] = [Math.min(from, run.at), Math.max(from, run.at)];
      run.items.slice(low, high + 1).filter(isOpen).forEach((item) => run.selected.add(item.key));
      this.changed();
    }
  }

  pick(label) {
    this.filter = false;
    if (this.run.family === "sets") {
      this.toggleChange(label);
      return;
    }
    if (!this.favourites.includes(label)) {
      this.favourites = [...this.favourites.slice(0, DIGITS - 1), label];
      this.favouritesOf[this.run.kind] = this.favourites;
    }
    this.decide("label", label);
  }

  showInGrid() {
    const keys = this.meant.map((item) => item.key);
    if (keys.length) {
      this.ask("show", { ...this.run.context, kind: this.run.kind, keys });
    }
  }

  tell(words) {
    this.said = words;
    this.changed();
  }

  async ask(method, params) {
    try {
      const answer = await this.call(method, params);
      this.tell(answer?.error ?? null);
      return answer;
    } catch (failure) {
      this.tell(String(failure?.message ?? failure));
      return null;
    }
  }

  /** Ask what acting on the marks would do. */
  async ponder(way) {
    this.plan = { way, loading: true };
    this.changed();
    const asked = this.plan;
    const answer = await this.ask("plan", { kind: this.run.kind, scope: this.scope, ...way });
    if (this.plan === asked) {
      this.plan = answer && !answer.error ? { way, ...answer } : { way, refused: answer?.error ?? this.said };
      this.changed();
    }
  }

  async apply() {
    const { way } = this.plan;
    this.plan = { ...this.plan, applying: true };
    this.changed();
    const params = { kind: this.run.kind, scope: this.scope, reviewer: this.reviewer, ...way, confirm: true };
    const answer = await this.ask("apply", params);
    this.plan = answer && !answer.error ? { way, done: answer.text } : { way, refused: answer?.error ?? this.said };
    this.changed();
  }
}

function present(decision) {
  return Object.fromEntries(Object.entries(decision).filter(([, value]) => value !== null));
}
