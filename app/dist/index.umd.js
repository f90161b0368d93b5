// Built by "make app" from app/src. Sources: sha256 f05cde5338815030569eb9a9bc38d20ce922d4b2dfec638460066985adb5f882
(() => {
  var __defProp = Object.defineProperty;
  var __defNormalProp = (obj, key, value) => key in obj ? __defProp(obj, key, { enumerable: true, configurable: true, writable: true, value }) : obj[key] = value;
  var __publicField = (obj, key, value) => __defNormalProp(obj, typeof key !== "symbol" ? key + "" : key, value);

  // src/react.js
  var React = window.React;
  var { useEffect, useRef, useState, useSyncExternalStore } = window.React;

  // src/Button.jsx
  function Button({ children, keyCap, onClick, kind = "", ...rest }) {
    return /* @__PURE__ */ React.createElement("button", { type: "button", className: `w-button ${kind}`, onMouseDown: (event) => event.preventDefault(), onClick, ...rest }, keyCap && /* @__PURE__ */ React.createElement("kbd", { "aria-hidden": "true" }, keyCap), children);
  }

  // src/Apply.jsx
  var PAUSE_MS = 250;
  var WAYS = {
    tag: "Tag them",
    split: "Move them to a split",
    delete: "Delete them from the dataset"
  };
  function Apply({ desk }) {
    const [way, setWay] = useState(() => startingWith("tag", desk));
    const [confirmed, setConfirmed] = useState(false);
    const { plan, about, outbox } = desk;
    const unsaved = outbox.unsaved > 0;
    const choose = (chosen) => {
      setConfirmed(false);
      setWay(chosen);
    };
    useEffect(() => {
      const timer = unsaved ? null : setTimeout(() => desk.ponder(way), PAUSE_MS);
      return () => clearTimeout(timer);
    }, [way, unsaved]);
    if (plan?.done) {
      return /* @__PURE__ */ React.createElement("main", null, /* @__PURE__ */ React.createElement("p", { role: "status", "data-cy": "applied", style: { whiteSpace: "pre-line" } }, plan.done), /* @__PURE__ */ React.createElement(Button, { onClick: () => desk.show("start") }, "To the start"));
    }
    return /* @__PURE__ */ React.createElement("main", { className: "w-apply" }, /* @__PURE__ */ React.createElement("fieldset", null, /* @__PURE__ */ React.createElement("legend", null, "What was marked to be removed"), Object.entries(WAYS).map(([name, title]) => /* @__PURE__ */ React.createElement("label", { key: name }, /* @__PURE__ */ React.createElement(
      "input",
      {
        type: "radio",
        name: "way",
        checked: way.way === name,
        onChange: () => choose(startingWith(name, desk))
      }
    ), title))), way.way === "tag" && /* @__PURE__ */ React.createElement("label", null, "Tag", /* @__PURE__ */ React.createElement("input", { value: way.tag, onChange: (event) => choose({ ...way, tag: event.target.value }) })), way.way === "split" && /* @__PURE__ */ React.createElement("label", null, "Split", /* @__PURE__ */ React.createElement("select", { "aria-label": "Split", value: way.split, onChange: (event) => choose({ ...way, split: event.target.value }) }, about.splits.map((name) => /* @__PURE__ */ React.createElement("option", { key: name }, name)), /* @__PURE__ */ React.createElement("option", { value: "" }, "out of every split"))), way.way === "delete" && /* @__PURE__ */ React.createElement("label", null, /* @__PURE__ */ React.createElement(
      "input",
      {
        type: "checkbox",
        checked: way.delete_files,
        onChange: (event) => choose({ ...way, delete_files: event.target.checked })
      }
    ), "Move the image files to Winnow's trash too"), unsaved && /* @__PURE__ */ React.createElement("p", { className: "w-muted" }, "Waiting until every decision is saved …"), plan && /* @__PURE__ */ React.createElement(Plan, { plan }), /* @__PURE__ */ React.createElement("label", null, /* @__PURE__ */ React.createElement("input", { type: "checkbox", checked: confirmed, onChange: (event) => setConfirmed(event.target.checked) }), "Yes, do this"), /* @__PURE__ */ React.createElement(
      Button,
      {
        kind: "w-strong",
        disabled: !confirmed || unsaved || !plan?.count || Boolean(plan.refused) || plan.applying,
        onClick: () => desk.apply()
      },
      "Apply"
    ), /* @__PURE__ */ React.createElement("p", { className: "w-muted" }, "It is one action: “Winnow: undo an action” takes it back."));
  }
  function startingWith(name, { run, about }) {
    return {
      tag: { way: "tag", tag: run.kind === "leaks" ? "leak" : "duplicate" },
      split: { way: "split", split: about.splits.at(-1) ?? "" },
      delete: { way: "delete", delete_files: false }
    }[name];
  }
  function Plan({ plan }) {
    if (plan.loading) {
      return /* @__PURE__ */ React.createElement("p", { className: "w-muted" }, "Counting …");
    }
    if (plan.refused) {
      return /* @__PURE__ */ React.createElement("p", { className: "w-warning" }, plan.refused);
    }
    return /* @__PURE__ */ React.createElement("div", { "data-cy": "plan" }, /* @__PURE__ */ React.createElement("p", null, /* @__PURE__ */ React.createElement("strong", null, plan.sentence)), /* @__PURE__ */ React.createElement("ul", null, (plan.notes ?? []).map((note) => /* @__PURE__ */ React.createElement("li", { key: note }, note))));
  }

  // src/words.js
  var figure = (count) => count.toLocaleString("en-US");
  function percent(share) {
    const tenths = Math.floor(Math.round(share * 1e6) / 1e3) / 10;
    return `${tenths < 10 || tenths > 99 && tenths < 100 ? tenths.toFixed(1) : Math.floor(tenths)} %`;
  }
  function counted(count, one, many = `${one}s`) {
    return `${figure(count)} ${count === 1 ? one : many}`;
  }
  function minutes(count) {
    if (count < 1) {
      return "a minute";
    }
    return count < 90 ? counted(Math.round(count), "minute") : counted(Math.round(count / 60), "hour");
  }
  function kilobytes(bytes) {
    return bytes < 1e6 ? `${figure(Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  }
  var namesOf = (item) => (item.labels ? item.labels.join(", ") : item.label) || "nothing";
  var WORDS = { mark: "as marked" };

  // src/LabelSet.jsx
  var DIGITS = 9;
  var WORDS2 = { add: ["Add", "Leave out"], remove: ["Remove", "Keep"] };
  function changesOf(desk, item) {
    const suggested = item.changes.map((change) => change.label);
    const asked = Object.keys(desk.marksOf(item)).filter((label) => !suggested.includes(label));
    const own = asked.map((label) => ({ label, change: item.labels.includes(label) ? "remove" : "add", confidence: null }));
    return [...item.changes, ...own];
  }
  function Changes({ desk, item }) {
    const marks = desk.marksOf(item);
    return /* @__PURE__ */ React.createElement("ul", { className: "w-changes", "aria-label": "Changes" }, changesOf(desk, item).map(({ label, change, confidence }, index) => /* @__PURE__ */ React.createElement("li", { key: label, className: marks[label] === "accept" ? "" : "w-faded", "data-mark": marks[label] }, /* @__PURE__ */ React.createElement(
      Button,
      {
        keyCap: index < DIGITS ? index + 1 : null,
        "aria-pressed": marks[label] === "accept",
        onClick: () => desk.toggleChange(label)
      },
      WORDS2[change][marks[label] === "accept" ? 0 : 1],
      " ",
      /* @__PURE__ */ React.createElement("b", { className: "w-suggested" }, label)
    ), confidence !== null && /* @__PURE__ */ React.createElement("small", null, percent(confidence), " sure"))));
  }
  function SetChoices({ desk }) {
    const { run, meant } = desk;
    const marks = run.item ? desk.marksOf(run.item) : {};
    const some = Object.keys(marks).length > 0;
    return /* @__PURE__ */ React.createElement(React.Fragment, null, /* @__PURE__ */ React.createElement(Button, { keyCap: "Enter", kind: "w-strong", disabled: !some, onClick: () => desk.decideSet() }, "As shown"), /* @__PURE__ */ React.createElement(Button, { keyCap: "A", disabled: !meant.length, onClick: () => desk.decide("accept") }, "Accept all"), /* @__PURE__ */ React.createElement(Button, { keyCap: "K", disabled: !meant.length, onClick: () => desk.decide("keep") }, "Keep the labels"), /* @__PURE__ */ React.createElement(Button, { keyCap: "U", disabled: !meant.length, onClick: () => desk.decide("unsure") }, "Unsure"), /* @__PURE__ */ React.createElement(Button, { keyCap: "/", disabled: !run.item || desk.grid, onClick: () => desk.toggle("filter") }, "Another class"));
  }

  // src/Cells.jsx
  var LARGEST_MATRIX = 16;
  function Cells({ desk }) {
    const { cells: cells2, prediction_fields: fields } = desk.about;
    const list = useRef(null);
    useEffect(() => {
      list.current.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
    }, [desk.cellAt]);
    const open = (cell) => desk.openCell(cell);
    const largest = Math.max(1, ...cells2.map((cell) => cell.count));
    return /* @__PURE__ */ React.createElement("main", null, fields.length > 1 && /* @__PURE__ */ React.createElement("label", { className: "w-reviewer" }, "Predictions", /* @__PURE__ */ React.createElement("select", { "aria-label": "Predictions", value: desk.predictionField, onChange: (event) => desk.begin({ prediction_field: event.target.value }) }, fields.map((name) => /* @__PURE__ */ React.createElement("option", { key: name }, name)))), /* @__PURE__ */ React.createElement("p", { className: "w-muted" }, "Labels against predictions: choose a cell (↓ ↑ and Enter), the largest first."), /* @__PURE__ */ React.createElement("div", { className: "w-cells" }, /* @__PURE__ */ React.createElement("ul", { ref: list }, cells2.map((cell, index) => /* @__PURE__ */ React.createElement("li", { key: index }, /* @__PURE__ */ React.createElement(Button, { "data-cy": "cell", "aria-current": index === desk.cellAt, onClick: () => open(cell) }, /* @__PURE__ */ React.createElement("span", { className: "w-bar", style: { width: `${100 * cell.count / largest}%` } }), /* @__PURE__ */ React.createElement("b", null, figure(cell.count)), " ", cell.given, " → ", cell.predicted)))), /* @__PURE__ */ React.createElement(Matrix, { cells: cells2, largest, open })));
  }
  function Matrix({ cells: cells2, largest, open }) {
    const names = [...new Set(cells2.flatMap(({ given, predicted }) => [given, predicted]))].sort();
    if (names.length > LARGEST_MATRIX) {
      return null;
    }
    const at = (given, predicted) => cells2.find((cell) => cell.given === given && cell.predicted === predicted);
    return /* @__PURE__ */ React.createElement("table", { "aria-label": "Labels against predictions" }, /* @__PURE__ */ React.createElement("thead", null, /* @__PURE__ */ React.createElement("tr", null, /* @__PURE__ */ React.createElement("td", { className: "w-muted" }, "label ↓ predicted →"), names.map((name) => /* @__PURE__ */ React.createElement("th", { key: name, scope: "col", title: name }, /* @__PURE__ */ React.createElement("span", null, name))))), /* @__PURE__ */ React.createElement("tbody", null, names.map((given) => /* @__PURE__ */ React.createElement("tr", { key: given }, /* @__PURE__ */ React.createElement("th", { scope: "row", title: given }, given), names.map((predicted) => {
      const cell = at(given, predicted);
      const shade = cell ? { "--w-heat": `${Math.round(15 + 70 * cell.count / largest)}%` } : void 0;
      return /* @__PURE__ */ React.createElement("td", { key: predicted, className: cell ? "w-heat" : "", style: shade, onClick: () => cell && open(cell) }, cell ? figure(cell.count) : "");
    })))));
  }

  // src/outbox.js
  var BATCH = 200;
  var TOGETHER_MS = 150;
  var FIRST_RETRY_MS = 2e3;
  var LONGEST_RETRY_MS = 3e4;
  var ORPHANED_MS = 6e4;
  var PREFIX = "winnow.review.unsaved";
  var Outbox = class {
    constructor({ dataset, reviewer, call, heard, changed, storage = window.localStorage }) {
      Object.assign(this, { dataset, reviewer, call, heard, changed, storage });
      this.waiting = [];
      this.sending = null;
      this.sessions = {};
      this.error = null;
      this.refused = false;
      this.retryMs = FIRST_RETRY_MS;
      this.timer = null;
      this.place = `${PREFIX}.${dataset}.${tabName()}`;
      this.adopt();
    }
    /** How many decisions are not saved yet. */
    get unsaved() {
      const held = this.sending ? [this.sending, ...this.waiting] : this.waiting;
      return held.reduce((sum, each) => sum + (each.steps ?? each.keys).length, 0);
    }
    save(kind, context, steps) {
      const last = this.waiting.at(-1);
      const joins = last?.op === "save" && last.kind === kind && last.context === context;
      if (joins && last.steps.length + steps.length <= BATCH) {
        const again = new Set(steps.map((step) => step.key));
        last.steps = [...last.steps.filter((step) => !again.has(step.key)), ...steps];
      } else {
        for (let from = 0; from < steps.length; from += BATCH) {
          this.waiting.push({ op: "save", kind, context, steps: steps.slice(from, from + BATCH) });
        }
      }
      this.keep();
      this.soon(TOGETHER_MS);
    }
    back(kind, context, keys) {
      this.waiting.push({ op: "back", kind, context, keys });
      this.keep();
      this.soon(TOGETHER_MS);
    }
    retry() {
      this.retryMs = FIRST_RETRY_MS;
      this.refused = false;
      this.soon(0);
    }
    /** Forget what the server refuses. */
    giveUp() {
      this.waiting = [];
      this.error = null;
      this.refused = false;
      this.keep();
      this.changed();
    }
    soon(ms) {
      if (this.sending || this.refused) {
        this.changed();
        return;
      }
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.send(), ms);
      this.changed();
    }
    async send() {
      if (this.sending || !this.waiting.length) {
        return;
      }
      const operation = this.waiting.shift();
      this.sending = operation;
      this.changed();
      const { op, kind, context, steps, keys } = operation;
      const session = operation.session ?? this.sessions[kind] ?? null;
      let answer = {};
      try {
        const { reviewer } = this;
        if (op === "save" || session) {
          answer = await this.call(op, { ...context, kind, session, ...op === "save" ? { reviewer, steps } : { keys } });
        }
      } catch (failure) {
        answer = { away: String(failure?.message ?? failure) };
      }
      this.sending = null;
      const problem = answer.away ?? answer.error;
      if (problem) {
        this.waiting.unshift(operation);
        this.error = problem;
        this.refused = !answer.away;
        this.retryMs = Math.min(this.retryMs * 2, LONGEST_RETRY_MS);
        this.soon(this.retryMs);
        return;
      }
      this.error = null;
      this.retryMs = FIRST_RETRY_MS;
      if (answer.session) {
        this.sessions[kind] = answer.session;
      }
      this.keep();
      this.heard(operation, answer);
      this.soon(0);
    }
    /** Write down what is not saved, so that neither a reload nor a closed tab loses it. */
    keep() {
      const held = this.sending ? [this.sending, ...this.waiting] : this.waiting;
      const { reviewer } = this;
      const operations = held.map((each) => ({ session: this.sessions[each.kind] ?? null, ...each }));
      try {
        if (held.length) {
          this.storage.setItem(this.place, JSON.stringify({ at: Date.now(), reviewer, operations }));
        } else {
          this.storage.removeItem(this.place);
        }
      } catch {
      }
    }
    /** Take over what this tab had before it was reloaded, and what tabs that are gone left behind. */
    adopt() {
      const mine = `${PREFIX}.${this.dataset}.`;
      for (const place of Object.keys(this.storage).filter((key) => key.startsWith(mine))) {
        const { at, reviewer, operations } = read(this.storage.getItem(place));
        if (place === this.place || Date.now() - at > ORPHANED_MS) {
          this.reviewer = reviewer || this.reviewer;
          this.waiting.push(...operations);
          this.storage.removeItem(place);
        }
      }
      if (this.waiting.length) {
        this.keep();
        this.soon(0);
      }
    }
  };
  function read(text) {
    try {
      const { at, reviewer, operations } = JSON.parse(text);
      return { at, reviewer, operations: Array.isArray(operations) ? operations : [] };
    } catch {
      return { at: 0, reviewer: null, operations: [] };
    }
  }
  function tabName() {
    const kept = window.sessionStorage.getItem("winnow.review.tab");
    const name = kept ?? Math.random().toString(36).slice(2);
    window.sessionStorage.setItem("winnow.review.tab", name);
    return name;
  }

  // src/run.js
  var AHEAD = 12;
  var PRELOADED = 4;
  var PAUSE_MS2 = 6e4;
  var RATE_OVER = 30;
  var Run = class {
    constructor({ kind, family, context, cell, page, imageOf, changed, pageSize }) {
      Object.assign(this, { kind, family, context, cell, page, imageOf, changed, pageSize });
      this.items = [];
      this.at = 0;
      this.next = null;
      this.ended = false;
      this.loading = false;
      this.error = null;
      this.total = null;
      this.decided = 0;
      this.history = [];
      this.times = [];
      this.selected = /* @__PURE__ */ new Set();
      this.load();
    }
    get item() {
      return this.items[this.at] ?? null;
    }
    get open() {
      return this.items.filter(isOpen);
    }
    get waiting() {
      return this.total === null ? null : Math.max(this.total - this.decided, this.open.length);
    }
    /** Whether nothing waits any more. */
    get finished() {
      return this.ended && !this.loading && !this.open.length;
    }
    /** Decisions a minute, pauses left out; null before the third. */
    get rate() {
      const spans = this.times.slice(1).map((time, index) => time - this.times[index]);
      const active = spans.filter((span) => span < PAUSE_MS2);
      const ms = active.reduce((sum, span) => sum + span, 0);
      return active.length < 2 || ms === 0 ? null : active.length / ms * 6e4;
    }
    async load() {
      if (this.loading || this.ended) {
        return;
      }
      this.loading = true;
      this.error = null;
      this.changed();
      let answer;
      try {
        const { kind, context, cell, next: after, pageSize: count } = this;
        answer = await this.page({ ...context, kind, cell, after, count });
      } catch (failure) {
        answer = { error: String(failure?.message ?? failure) };
      }
      this.loading = false;
      if (answer.error) {
        this.error = answer.error;
      } else {
        const known = new Set(this.items.map((item) => item.key));
        const fresh = answer.items.filter((item) => !known.has(item.key));
        this.items.push(...fresh.map((item) => ({ ...item, mine: null, skipped: null })));
        this.total ?? (this.total = answer.waiting);
        this.next = answer.next;
        this.ended = answer.next === null;
        if (!isOpen(this.item ?? {}) && this.open.length) {
          this.forward();
        }
        this.preload();
        this.topUp();
      }
      this.changed();
    }
    topUp() {
      if (!this.error && this.items.slice(this.at).filter(isOpen).length < AHEAD) {
        this.load();
      }
    }
    preload() {
      const ahead = this.items.slice(this.at + 1, this.at + 1 + PRELOADED);
      for (const path of ahead.flatMap(imagesOf)) {
        new Image().src = this.imageOf(path);
      }
    }
    move(by) {
      this.at = Math.min(Math.max(this.at + by, 0), Math.max(this.items.length - 1, 0));
      this.preload();
      this.topUp();
      this.changed();
    }
    goTo(index) {
      this.move(index - this.at);
    }
    /** Go to the next item that waits, from the first again after the last; behind all of them where none waits. */
    forward() {
      const after = this.items.findIndex((item, index) => index > this.at && isOpen(item));
      const found = after >= 0 || !this.ended ? after : this.items.findIndex(isOpen);
      this.at = found >= 0 ? found : this.items.length;
      this.preload();
      this.topUp();
    }
    /** Note what was decided about items, and go on. */
    decide(items, decisionOf) {
      this.history.push(items.map((item) => item.key));
      for (const item of items) {
        if (isOpen(item)) {
          this.decided += 1;
        }
        item.mine = decisionOf(item);
        item.skipped = null;
        this.times.push(Date.now());
      }
      this.times = this.times.slice(-RATE_OVER);
      this.selected.clear();
      this.forward();
      this.changed();
    }
    /** Take the last decision back; return the keys that it was about. */
    undo() {
      const keys = this.history.pop() ?? [];
      for (const item of this.items.filter((each) => keys.includes(each.key))) {
        if (item.mine) {
          this.decided -= 1;
        }
        item.mine = null;
        item.skipped = null;
        item.decision = null;
      }
      if (keys.length) {
        this.at = this.items.findIndex((item) => item.key === keys[0]);
      }
      this.changed();
      return keys;
    }
    /** Lay over an item what the server says that it is now. */
    replace(fresh) {
      const item = this.items.find((each) => each.key === fresh.key);
      if (item && !item.mine) {
        Object.assign(item, fresh);
      }
    }
    skip({ key, reason }) {
      const item = this.items.find((each) => each.key === key);
      if (item) {
        item.skipped = reason;
      }
    }
  };
  function isOpen(item) {
    return Boolean(item.key) && !item.mine && !item.skipped && !item.decision;
  }
  function imagesOf(item) {
    return item.members ? item.members.map((member) => member.image) : [item.image];
  }

  // src/desk.js
  var REVIEWER = "winnow.review.reviewer";
  var DIGITS2 = 9;
  var PAGE_SIZES = { labels: 40, patches: 40, predictions: 40, duplicates: 12, leaks: 12 };
  var DECISIONS = { accept: "accepted", keep: "kept", label: "labelled", unsure: "unsure" };
  function familyOf({ kind, several }) {
    if (kind === "duplicates" || kind === "leaks") {
      return "groups";
    }
    return several ? "sets" : "labels";
  }
  var Desk = class {
    constructor(call, imageOf) {
      __publicField(this, "subscribe", (listener) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      });
      __publicField(this, "snapshot", () => this.version);
      __publicField(this, "changed", () => {
        this.version += 1;
        this.listeners.forEach((listener) => listener());
      });
      /** What the server made of decisions that were sent to it. */
      __publicField(this, "heard", (operation, answer) => {
        for (const each of answer.skipped ?? []) {
          this.skipped.push(each);
          this.run?.skip(each);
        }
        for (const item of answer.items ?? []) {
          this.run?.replace(item);
        }
        if (!this.run && !this.outbox.unsaved) {
          this.begin({ prediction_field: this.predictionField });
        }
        this.changed();
      });
      this.call = (method, params) => call(method, params);
      this.imageOf = imageOf;
      this.version = 0;
      this.listeners = /* @__PURE__ */ new Set();
      this.screen = "start";
      this.help = false;
      this.filter = false;
      this.grid = false;
      this.cellAt = 0;
      this.about = null;
      this.error = null;
      this.run = null;
      this.outbox = null;
      this.skipped = [];
      this.said = null;
      this.favourites = [];
      this.favouritesOf = {};
      this.plan = null;
      this.begin();
    }
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
        changed: this.changed
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
      if (given !== void 0) {
        this.walk({ kind: "predictions" }, { cell: { given, predicted }, prediction_field: this.predictionField });
      }
    }
    walk(queue, { cell, ...fields }) {
      const { kind } = queue;
      this.grid = false;
      this.favourites = this.favouritesOf[kind] ?? (queue.classes ?? this.about.classes).slice(0, DIGITS2);
      this.run = new Run({
        kind,
        family: familyOf(queue),
        context: { scope: this.scope, ...fields },
        cell,
        page: (params) => this.call("page", params),
        imageOf: this.imageOf,
        changed: this.changed,
        pageSize: PAGE_SIZES[kind]
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
      this.settle(able, (item) => ({ decision, label: decision === "accept" ? item.suggested ?? null : label }));
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
      const again = items.filter((item) => item.mine).map((item) => item.key);
      if (again.length) {
        this.outbox.back(this.run.kind, this.run.context, again);
      }
      const steps = items.map((item) => ({ key: item.key, seen: item.seen, ...present(decisionOf(item)) }));
      this.run.decide(items, decisionOf);
      for (const item of items.filter((each) => each.changes)) {
        item.drafted = null;
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
        this.favourites = [...this.favourites.slice(0, DIGITS2 - 1), label];
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
  };
  function present(decision) {
    return Object.fromEntries(Object.entries(decision).filter(([, value]) => value !== null));
  }

  // src/ClassFilter.jsx
  var SHOWN = 12;
  function ClassFilter({ desk }) {
    const [text, setText] = useState("");
    const [at, setAt] = useState(0);
    const found = matching(desk.classes, text).slice(0, SHOWN);
    const onKeyDown = (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && found[at] !== void 0) {
        desk.pick(found[at]);
      } else if (event.key === "Escape") {
        desk.toggle("filter");
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        setAt(Math.min(Math.max(at + (event.key === "ArrowDown" ? 1 : -1), 0), found.length - 1));
      } else {
        return;
      }
      event.preventDefault();
    };
    const onChange = (event) => {
      setText(event.target.value);
      setAt(0);
    };
    return /* @__PURE__ */ React.createElement("div", { className: "w-filter", role: "dialog", "aria-label": "Choose a class" }, /* @__PURE__ */ React.createElement("input", { autoFocus: true, value: text, placeholder: "Class", "aria-label": "Class", onChange, onKeyDown }), /* @__PURE__ */ React.createElement("ul", { role: "listbox", "aria-label": "Classes" }, found.map((name, index) => /* @__PURE__ */ React.createElement("li", { key: name, role: "option", "aria-selected": index === at, onMouseDown: () => desk.pick(name) }, name)), !found.length && /* @__PURE__ */ React.createElement("li", { className: "w-muted" }, "No class of this name")));
  }
  function matching(classes, text) {
    const wanted = text.trim().toLowerCase();
    const held = classes.filter((name) => name.toLowerCase().includes(wanted));
    const begins = (name) => name.toLowerCase().startsWith(wanted);
    return [...held.filter(begins), ...held.filter((name) => !begins(name))];
  }

  // src/Picture.jsx
  var MARGIN = 0.25;
  function Picture({ path, label, imageOf, box, margin = MARGIN }) {
    const [failed, setFailed] = useState(false);
    useEffect(() => setFailed(false), [path]);
    if (!failed && box) {
      return /* @__PURE__ */ React.createElement(Part, { path, label, imageOf, box, margin, onError: () => setFailed(true) });
    }
    if (failed) {
      return /* @__PURE__ */ React.createElement("div", { className: "w-unseen", role: "img", "aria-label": label }, "This browser cannot show the file", /* @__PURE__ */ React.createElement("code", null, path));
    }
    return /* @__PURE__ */ React.createElement("img", { src: imageOf(path), alt: label, draggable: false, onError: () => setFailed(true) });
  }
  function Part({ path, label, imageOf, box, margin, onError }) {
    const [size, setSize] = useState(null);
    useEffect(() => {
      setSize(null);
      const image = new Image();
      image.onload = () => setSize([image.naturalWidth, image.naturalHeight]);
      image.onerror = onError;
      image.src = imageOf(path);
      return () => image.onload = image.onerror = null;
    }, [path]);
    if (!size) {
      return /* @__PURE__ */ React.createElement("svg", { role: "img", "aria-label": label });
    }
    const [width, height] = size;
    const [x, y, w, h] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height];
    const around = margin * Math.max(w, h);
    const shown = [x - around, y - around, w + 2 * around, h + 2 * around];
    return /* @__PURE__ */ React.createElement("svg", { role: "img", "aria-label": label, viewBox: shown.join(" ") }, /* @__PURE__ */ React.createElement("image", { href: imageOf(path), width, height }), /* @__PURE__ */ React.createElement("rect", { className: "w-box", x, y, width: w, height: h }));
  }

  // src/Grid.jsx
  var SHOWN2 = 60;
  var TILE = 148;
  function Grid({ desk }) {
    const { run } = desk;
    const box = useRef(null);
    const [columns, setColumns] = useState(1);
    useEffect(() => {
      const measure = () => setColumns(Math.max(1, Math.floor(box.current.clientWidth / TILE)));
      const observer = new ResizeObserver(measure);
      observer.observe(box.current);
      measure();
      return () => observer.disconnect();
    }, []);
    const from = Math.floor(Math.min(run.at, run.items.length - 1) / SHOWN2) * SHOWN2;
    useEffect(() => {
      box.current.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
    }, [run.at]);
    const onClick = (event, index) => {
      if (event.shiftKey) {
        desk.stride(index - run.at, true);
      } else {
        run.goTo(index);
        desk.selectHere();
      }
    };
    return /* @__PURE__ */ React.createElement(
      "div",
      {
        className: "w-grid",
        ref: box,
        "data-columns": columns,
        style: { gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` },
        role: "listbox",
        "aria-label": "Images",
        "aria-multiselectable": "true"
      },
      run.items.slice(from, from + SHOWN2).map((item, index) => /* @__PURE__ */ React.createElement(
        "figure",
        {
          key: item.key,
          role: "option",
          className: isOpen(item) ? "" : "w-faded",
          "aria-current": from + index === run.at,
          "aria-selected": run.selected.has(item.key),
          onMouseDown: (event) => event.preventDefault(),
          onClick: (event) => onClick(event, from + index)
        },
        /* @__PURE__ */ React.createElement(Picture, { path: item.image, label: `Image labelled ${namesOf(item)}`, imageOf: desk.imageOf, box: item.box }),
        /* @__PURE__ */ React.createElement("figcaption", null, captionOf(item))
      ))
    );
  }
  function captionOf(item) {
    if (item.mine) {
      return item.mine.label ? `→ ${item.mine.label}` : WORDS[item.mine.decision] ?? item.mine.decision;
    }
    if (item.changes) {
      return item.changes.map(({ label, change }) => `${change === "add" ? "+" : "−"} ${label}`).join(", ");
    }
    return item.suggested ? `${item.label} → ${item.suggested}` : item.label;
  }

  // src/Labels.jsx
  function Labels({ desk }) {
    const { run } = desk;
    return /* @__PURE__ */ React.createElement("main", { className: "w-review" }, run.error && /* @__PURE__ */ React.createElement(LoadError, { run }), run.items.length > 0 && (desk.grid ? /* @__PURE__ */ React.createElement(Grid, { desk }) : run.item && /* @__PURE__ */ React.createElement(One, { desk, item: run.item })), !run.item && !run.finished && !run.error && /* @__PURE__ */ React.createElement("p", { className: "w-muted" }, "Loading …"), run.finished && /* @__PURE__ */ React.createElement(Finished, null), /* @__PURE__ */ React.createElement(Choices, { desk }), desk.filter && /* @__PURE__ */ React.createElement(ClassFilter, { desk }));
  }
  function LoadError({ run }) {
    return /* @__PURE__ */ React.createElement("p", { className: "w-problem", role: "alert" }, run.error, " ", /* @__PURE__ */ React.createElement(Button, { onClick: () => run.load() }, "Try again"));
  }
  function Finished() {
    return /* @__PURE__ */ React.createElement("p", { className: "w-finished", role: "status" }, "Everything here is decided.");
  }
  function Suggestion({ item, kind }) {
    return /* @__PURE__ */ React.createElement(React.Fragment, null, /* @__PURE__ */ React.createElement("dt", null, kind === "predictions" ? "Predicted" : "Suggested"), /* @__PURE__ */ React.createElement("dd", { className: "w-suggested" }, item.suggested ?? "nothing", item.confidence !== null && item.suggested && /* @__PURE__ */ React.createElement("small", null, " ", percent(item.confidence), " sure")));
  }
  function One({ desk, item }) {
    const { imageOf } = desk;
    return /* @__PURE__ */ React.createElement("div", { className: "w-one" }, /* @__PURE__ */ React.createElement("figure", { className: "w-large", "data-key": item.key }, /* @__PURE__ */ React.createElement(Picture, { path: item.image, label: `Image labelled ${namesOf(item)}`, imageOf, box: item.box })), /* @__PURE__ */ React.createElement("section", { "aria-label": "What is known" }, /* @__PURE__ */ React.createElement("dl", { className: "w-facts" }, /* @__PURE__ */ React.createElement("dt", null, item.labels ? "Labels" : "Label"), /* @__PURE__ */ React.createElement("dd", { className: "w-given" }, item.labels ? item.labels.join(", ") || "none" : item.label ?? "none"), item.changes ? null : /* @__PURE__ */ React.createElement(Suggestion, { item, kind: desk.run.kind }), item.verdict && /* @__PURE__ */ React.createElement(React.Fragment, null, /* @__PURE__ */ React.createElement("dt", null, "Verdict"), /* @__PURE__ */ React.createElement("dd", null, item.verdict)), item.split && /* @__PURE__ */ React.createElement(React.Fragment, null, /* @__PURE__ */ React.createElement("dt", null, "Split"), /* @__PURE__ */ React.createElement("dd", null, item.split))), item.changes && /* @__PURE__ */ React.createElement(Changes, { desk, item }), /* @__PURE__ */ React.createElement(Decided, { item }), item.neighbours.length > 0 && /* @__PURE__ */ React.createElement(React.Fragment, null, /* @__PURE__ */ React.createElement("h3", null, "Nearest ", item.box ? "detections" : "images", " with a good label"), /* @__PURE__ */ React.createElement("ul", { className: "w-neighbours" }, item.neighbours.map((each) => /* @__PURE__ */ React.createElement("li", { key: each.id }, /* @__PURE__ */ React.createElement(
      Picture,
      {
        path: each.image,
        label: `Neighbour labelled ${each.label}`,
        imageOf,
        box: each.box,
        margin: 0.1
      }
    ), /* @__PURE__ */ React.createElement("span", { className: each.label === item.suggested ? "w-suggested" : each.label === item.label ? "w-given" : "" }, each.label)))))));
  }
  function Decided({ item }) {
    if (item.skipped) {
      return /* @__PURE__ */ React.createElement("p", { className: "w-warning" }, item.skipped);
    }
    if (item.mine) {
      const label = item.mine.label && item.mine.decision === "label" ? `: ${item.mine.label}` : "";
      return /* @__PURE__ */ React.createElement("p", { className: "w-done" }, "decided: ", WORDS[item.mine.decision] ?? item.mine.decision, label);
    }
    const { decision, by, at } = typeof item.decision === "object" ? item.decision ?? {} : item;
    return decision ? /* @__PURE__ */ React.createElement("p", { className: "w-done" }, WORDS[decision] ?? decision, by && ` by ${by}`, at && `, ${String(at).slice(0, 16).replace("T", " ")}`) : null;
  }
  function Choices({ desk }) {
    const { run, meant } = desk;
    const count = meant.length;
    const sets2 = run.family === "sets";
    return /* @__PURE__ */ React.createElement("footer", { className: "w-choices" }, count > 1 && /* @__PURE__ */ React.createElement("strong", null, counted(count, "image"), " selected:"), sets2 ? /* @__PURE__ */ React.createElement(SetChoices, { desk }) : /* @__PURE__ */ React.createElement(LabelChoices, { desk }), /* @__PURE__ */ React.createElement(Button, { keyCap: "Z", disabled: !run.history.length, onClick: () => desk.undo() }, "Undo"), /* @__PURE__ */ React.createElement(Button, { keyCap: "G", "aria-pressed": desk.grid, onClick: () => desk.toggle("grid") }, "Grid"), !sets2 && /* @__PURE__ */ React.createElement(Classes, { desk }));
  }
  function LabelChoices({ desk }) {
    const { meant } = desk;
    const one = meant.length === 1 ? meant[0] : null;
    const suggested = one?.suggested;
    const none = !meant.length;
    return /* @__PURE__ */ React.createElement(React.Fragment, null, /* @__PURE__ */ React.createElement(Button, { keyCap: "A", kind: "w-strong", disabled: none || one && !suggested, onClick: () => desk.decide("accept") }, "Accept ", suggested ?? "suggestions"), /* @__PURE__ */ React.createElement(Button, { keyCap: "K", disabled: none, onClick: () => desk.decide("keep") }, "Keep ", one?.label ?? "labels"), /* @__PURE__ */ React.createElement(Button, { keyCap: "U", disabled: none, onClick: () => desk.decide("unsure") }, "Unsure"));
  }
  function Classes({ desk }) {
    const none = !desk.meant.length;
    return /* @__PURE__ */ React.createElement("span", { className: "w-classes" }, desk.favourites.map((name, index) => /* @__PURE__ */ React.createElement(
      Button,
      {
        key: name,
        keyCap: index + 1,
        disabled: none,
        onClick: () => desk.pick(name),
        "aria-label": `Set class ${name}`
      },
      name
    )), /* @__PURE__ */ React.createElement(Button, { keyCap: "/", disabled: none, onClick: () => desk.toggle("filter") }, "Another class"));
  }

  // src/Groups.jsx
  var DIGITS3 = 9;
  function Groups({ desk }) {
    const { run } = desk;
    const { item } = run;
    return /* @__PURE__ */ React.createElement("main", { className: "w-review" }, run.error && /* @__PURE__ */ React.createElement(LoadError, { run }), item && /* @__PURE__ */ React.createElement(Group, { desk, item }), !item && !run.finished && !run.error && /* @__PURE__ */ React.createElement("p", { className: "w-muted" }, "Loading …"), run.finished && /* @__PURE__ */ React.createElement(Finished, null), /* @__PURE__ */ React.createElement("footer", { className: "w-choices" }, /* @__PURE__ */ React.createElement(Button, { keyCap: "Enter", kind: "w-strong", disabled: !item, onClick: () => desk.decideGroup("mark") }, "As shown"), /* @__PURE__ */ React.createElement(Button, { keyCap: "D", disabled: !item, onClick: () => desk.decideGroup("apart") }, "Not duplicates"), /* @__PURE__ */ React.createElement(Button, { keyCap: "S", disabled: !item, onClick: () => desk.decideGroup("keep all") }, "Keep all"), /* @__PURE__ */ React.createElement(Button, { keyCap: "U", disabled: !item, onClick: () => desk.decideGroup("unsure") }, "Unsure"), /* @__PURE__ */ React.createElement(Button, { keyCap: "Z", disabled: !run.history.length, onClick: () => desk.undo() }, "Undo"), /* @__PURE__ */ React.createElement(Button, { keyCap: "P", onClick: () => desk.show("apply") }, "Apply …")));
  }
  function Group({ desk, item }) {
    const marks = desk.marksOf(item);
    return /* @__PURE__ */ React.createElement("section", { className: "w-group", "data-key": item.key, "aria-label": "Group" }, /* @__PURE__ */ React.createElement("p", { className: "w-line" }, /* @__PURE__ */ React.createElement("strong", null, counted(item.members.length, "image")), /* @__PURE__ */ React.createElement("span", null, item.exact ? "the same picture" : item.score !== null && `best pair ${percent(item.score)} alike`), item.conflict && /* @__PURE__ */ React.createElement("span", { className: "w-warning" }, "their labels differ"), /* @__PURE__ */ React.createElement(Decided, { item })), /* @__PURE__ */ React.createElement("div", { className: "w-members" }, item.members.map((member, index) => /* @__PURE__ */ React.createElement(
      Member,
      {
        key: member.id,
        member,
        digit: index < DIGITS3 ? index + 1 : null,
        mark: marks[member.id] ?? "keep",
        toggle: () => desk.toggleMember(index),
        imageOf: desk.imageOf
      }
    ))));
  }
  function Member({ member, digit: digit2, mark, toggle, imageOf }) {
    const { image, label, split, width, height, bytes, role, similarity } = member;
    const facts = [
      width && height ? `${width} × ${height}` : null,
      bytes ? kilobytes(bytes) : null,
      similarity === null || similarity === void 0 ? null : `${percent(similarity)} alike`
    ];
    return /* @__PURE__ */ React.createElement("figure", { className: mark === "remove" ? "w-removed" : "w-kept", "data-mark": mark }, /* @__PURE__ */ React.createElement(Picture, { path: image, label: `Image labelled ${label ?? "nothing"}`, imageOf }), /* @__PURE__ */ React.createElement("figcaption", null, /* @__PURE__ */ React.createElement(Button, { keyCap: digit2, onClick: toggle, "aria-pressed": mark === "remove" }, mark === "remove" ? "Remove" : "Keep"), /* @__PURE__ */ React.createElement("b", null, label ?? "no label"), split && /* @__PURE__ */ React.createElement("span", { className: "w-split" }, split), role && /* @__PURE__ */ React.createElement("span", { className: "w-muted" }, role), /* @__PURE__ */ React.createElement("span", { className: "w-muted" }, facts.filter(Boolean).join(", ")), /* @__PURE__ */ React.createElement("span", { className: "w-muted w-path", title: image }, image.split("/").at(-1))));
  }

  // src/Help.jsx
  var CAPS = { ArrowRight: "→", ArrowLeft: "←", ArrowDown: "↓", ArrowUp: "↑", Escape: "Esc" };
  function Help({ desk, keys }) {
    return /* @__PURE__ */ React.createElement("div", { className: "w-help", role: "dialog", "aria-label": "Keys", onClick: () => desk.toggle("help") }, /* @__PURE__ */ React.createElement("div", null, /* @__PURE__ */ React.createElement("h2", null, "Keys"), /* @__PURE__ */ React.createElement("dl", null, keys.map(([key, what]) => /* @__PURE__ */ React.createElement(React.Fragment, { key }, /* @__PURE__ */ React.createElement("dt", null, /* @__PURE__ */ React.createElement("kbd", null, CAPS[key] ?? (key.length === 1 ? key.toUpperCase() : key))), /* @__PURE__ */ React.createElement("dd", null, what)))), /* @__PURE__ */ React.createElement("p", { className: "w-muted" }, "Any key closes this.")));
  }

  // src/keys.js
  var everywhere = [
    ["?", "this help", (desk) => desk.toggle("help")],
    ["Escape", "back", (desk) => desk.leave()]
  ];
  var moves = [
    ["ArrowRight", "next", (desk) => desk.run.move(1)],
    ["ArrowLeft", "previous", (desk) => desk.run.move(-1)],
    ["z", "undo the last decision", (desk) => desk.undo()],
    ["o", "show in the grid of samples", (desk) => desk.showInGrid()]
  ];
  var labels = [
    ["Enter", "accept the suggestion", (desk) => desk.decide("accept")],
    ["a", "accept the suggestion", (desk) => desk.decide("accept")],
    ["k", "keep the label as it is", (desk) => desk.decide("keep")],
    ["u", "unsure", (desk) => desk.decide("unsure")],
    ["/", "choose another class", (desk) => desk.meant.length && desk.toggle("filter")],
    ["g", "grid, and back", (desk) => desk.toggle("grid")]
  ];
  var sets = [
    ["Enter", "decide as shown", (desk) => desk.decideSet()],
    ["a", "accept all suggestions", (desk) => desk.decide("accept")],
    ["k", "keep the labels as they are", (desk) => desk.decide("keep")],
    ["u", "unsure", (desk) => desk.decide("unsure")],
    ["/", "add or remove another class", (desk) => !desk.grid && desk.run.item && desk.toggle("filter")],
    ["g", "grid, and back", (desk) => desk.toggle("grid")]
  ];
  var groups = [
    ["Enter", "decide as shown", (desk) => desk.decideGroup("mark")],
    ["d", "not duplicates", (desk) => desk.decideGroup("apart")],
    ["s", "keep all of them", (desk) => desk.decideGroup("keep all")],
    ["u", "unsure", (desk) => desk.decideGroup("unsure")],
    ["p", "apply what was marked", (desk) => desk.show("apply")]
  ];
  var grid = [
    ["x", "select, or not", (desk) => desk.selectHere()],
    ["Shift + arrows", "select several", null],
    ["e", "select all that wait", (desk) => desk.selectAll()]
  ];
  var cells = [
    ["ArrowDown", "the next cell", (desk) => desk.strideCells(1)],
    ["ArrowUp", "the cell before", (desk) => desk.strideCells(-1)],
    ["Enter", "review that cell", (desk) => desk.openCell()]
  ];
  var start = [["1 … 5", "open that queue", null]];
  var digits = {
    labels: "set the class with that number",
    sets: "make that change, or not",
    groups: "keep or remove that image"
  };
  function keysOf(screen, family, isGrid) {
    if (screen !== "review") {
      return [...{ cells, start }[screen] ?? [], ...everywhere];
    }
    const own = { labels, sets, groups }[family];
    return [...own, ["1 … 9", digits[family], null], ...moves, ...isGrid ? grid : [], ...everywhere];
  }
  function press(desk, key, list) {
    const name = key.length === 1 ? key.toLowerCase() : key;
    const action = list.find(([each]) => each === name)?.[2];
    action?.(desk);
    return Boolean(action);
  }

  // src/Start.jsx
  function Start({ desk }) {
    const { about } = desk;
    if (!about) {
      return desk.error ? null : /* @__PURE__ */ React.createElement("p", { className: "w-muted" }, "Looking for what waits …");
    }
    return /* @__PURE__ */ React.createElement("main", null, /* @__PURE__ */ React.createElement("label", { className: "w-reviewer" }, "Reviewer", /* @__PURE__ */ React.createElement(
      "input",
      {
        value: desk.reviewer,
        maxLength: 100,
        spellCheck: false,
        onChange: (event) => desk.reviewer = event.target.value,
        onKeyDown: (event) => event.key === "Enter" && event.currentTarget.closest(".winnow").focus({ preventScroll: true })
      }
    ), /* @__PURE__ */ React.createElement("span", { className: "w-muted" }, "is recorded with each decision")), about.note && /* @__PURE__ */ React.createElement("p", { className: "w-muted" }, about.note), /* @__PURE__ */ React.createElement("ul", { className: "w-queues" }, about.queues.map((queue, index) => /* @__PURE__ */ React.createElement(Queue, { key: queue.kind, desk, queue, index }))), about.unsure > 0 && /* @__PURE__ */ React.createElement(Button, { onClick: () => desk.ask("send", {}) }, "Send ", counted(about.unsure, "unsure label"), " to Label Studio"), /* @__PURE__ */ React.createElement(Button, { onClick: () => desk.begin() }, "Look again"));
  }
  function Queue({ desk, queue, index }) {
    const { kind, title, waiting, decided, stale, run, note } = queue;
    return /* @__PURE__ */ React.createElement("li", { "data-cy": `queue-${kind}` }, /* @__PURE__ */ React.createElement(Button, { keyCap: index + 1, kind: "w-strong", disabled: !waiting, onClick: () => desk.open(queue) }, title), /* @__PURE__ */ React.createElement("div", null, /* @__PURE__ */ React.createElement("span", null, figure(waiting), " waiting", decided ? `, ${figure(decided)} decided` : ""), note && /* @__PURE__ */ React.createElement("span", { className: "w-muted" }, note), stale && /* @__PURE__ */ React.createElement("span", { className: "w-warning" }, stale)), run && /* @__PURE__ */ React.createElement(Button, { onClick: () => desk.ask("first", { operator: run }) }, "Run it first"));
  }

  // src/Status.jsx
  function Status({ desk }) {
    const { run, outbox, skipped } = desk;
    return /* @__PURE__ */ React.createElement("header", null, /* @__PURE__ */ React.createElement("div", { className: "w-line" }, desk.screen !== "start" && /* @__PURE__ */ React.createElement(Button, { keyCap: "Esc", onClick: () => desk.leave() }, "Back"), /* @__PURE__ */ React.createElement("strong", null, titleOf(desk)), run && /* @__PURE__ */ React.createElement(Progress, { run }), /* @__PURE__ */ React.createElement("span", { className: "w-gap" }), /* @__PURE__ */ React.createElement("span", { className: "w-hint" }, "click here to use the keys"), outbox && /* @__PURE__ */ React.createElement(Saved, { outbox }), /* @__PURE__ */ React.createElement(Button, { keyCap: "?", onClick: () => desk.toggle("help"), "aria-label": "Keys", title: "Keys" })), run && run.total > 0 && /* @__PURE__ */ React.createElement("div", { role: "progressbar", "aria-label": "Decided", "aria-valuemax": run.total, "aria-valuenow": run.decided }, /* @__PURE__ */ React.createElement("span", { style: { width: `${100 * Math.min(run.decided, run.total) / run.total}%` } })), desk.said && /* @__PURE__ */ React.createElement("p", { className: "w-said", role: "status" }, desk.said), skipped.length > 0 && /* @__PURE__ */ React.createElement(Skipped, { desk }));
  }
  function titleOf({ run, about, screen }) {
    const kind = run?.kind ?? (screen === "cells" ? "predictions" : null);
    return about?.queues.find((queue) => queue.kind === kind)?.title ?? "Review";
  }
  function Progress({ run }) {
    const { rate, waiting, decided } = run;
    return /* @__PURE__ */ React.createElement("span", { className: "w-muted", "data-cy": "progress" }, figure(decided), " done", waiting === null ? "" : `, ${figure(waiting)} waiting`, rate && `, ${figure(Math.round(rate))} a minute`, rate && waiting > 0 && `, about ${minutes(waiting / rate)} left`);
  }
  function Saved({ outbox }) {
    const { unsaved, error } = outbox;
    if (error) {
      return /* @__PURE__ */ React.createElement("span", { className: "w-problem", role: "alert", "data-cy": "unsaved" }, figure(unsaved), " not saved: ", error, /* @__PURE__ */ React.createElement(Button, { onClick: () => outbox.retry() }, "Try again"), outbox.refused && /* @__PURE__ */ React.createElement(Button, { onClick: () => outbox.giveUp() }, "Give these up"));
    }
    return /* @__PURE__ */ React.createElement("span", { className: "w-muted", "data-cy": "saved", "aria-live": "polite" }, unsaved ? `saving ${figure(unsaved)} …` : "all saved");
  }
  function Skipped({ desk }) {
    const clear = () => {
      desk.skipped = [];
      desk.changed();
    };
    return /* @__PURE__ */ React.createElement("details", { className: "w-skipped" }, /* @__PURE__ */ React.createElement("summary", null, figure(desk.skipped.length), " not taken by the server ", /* @__PURE__ */ React.createElement(Button, { onClick: clear }, "Hide")), /* @__PURE__ */ React.createElement("ul", null, desk.skipped.slice(0, 50).map(({ key, reason }) => /* @__PURE__ */ React.createElement("li", { key }, reason))));
  }

  // src/style.css
  var style_default = `/* The App's own colours, so that both of its themes are followed. */
.winnow {
  --w-text: var(--fo-palette-text-primary);
  --w-muted: var(--fo-palette-text-secondary);
  --w-line: color-mix(in srgb, var(--fo-palette-text-secondary) 40%, transparent);
  --w-level: var(--fo-palette-background-level1);
  --w-raised: var(--fo-palette-background-level2);
  --w-primary: var(--fo-palette-primary-main, #ff6d04);
  --w-good: light-dark(#1b7a33, #6ecb85);
  --w-doubt: light-dark(#9a4b00, #ffb05c);
  --w-bad: light-dark(#b3261e, #ff8a80);
  box-sizing: border-box;
  container-type: inline-size;
  position: relative;
  display: flex;
  flex-direction: column;
  gap: 8px;
  height: 100%;
  min-height: 320px;
  padding: 10px 14px;
  overflow: auto;
  color: var(--w-text);
  font-size: 14px;
  line-height: 1.4;
  outline: none;
}
.winnow *, .winnow *::before { box-sizing: border-box; }
.winnow :is(h2, h3, p, ul, dl, figure) { margin: 0; padding: 0; }
.winnow :is(h2, h3) { font-size: 14px; font-weight: 600; }
.winnow ul { list-style: none; }
.winnow :focus-visible { outline: 2px solid var(--w-primary); outline-offset: 1px; }
.winnow main { display: flex; flex-direction: column; gap: 12px; flex: 1; min-height: 0; }
.winnow header { display: flex; flex-direction: column; gap: 6px; }
.winnow [role="progressbar"] { height: 4px; background: var(--w-line); border-radius: 2px; overflow: hidden; }
.winnow [role="progressbar"] span { display: block; height: 100%; background: var(--w-primary); }
.winnow :is(input, select) {
  padding: 5px 8px;
  color: inherit;
  background: var(--w-level);
  border: 1px solid var(--w-line);
  border-radius: 4px;
  font: inherit;
}
.winnow label { display: flex; align-items: center; gap: 8px; }
.w-line { display: flex; flex-wrap: wrap; align-items: center; gap: 10px; }
.w-gap { flex: 1; }
.w-muted { color: var(--w-muted); }
.w-hint { display: none; color: var(--w-doubt); }
.winnow:not(:focus-within) .w-hint { display: inline; }
.w-problem { color: var(--w-bad); }
.w-warning { color: var(--w-doubt); }
.w-done, .w-good { color: var(--w-good); }
.w-given { color: var(--w-doubt); }
.w-suggested { color: var(--w-good); }
.w-said { color: var(--w-text); border-left: 3px solid var(--w-primary); padding-left: 8px !important; }
.w-skipped { color: var(--w-doubt); }
.w-skipped ul { padding-left: 16px; list-style: disc; }

.w-button {
  display: inline-flex;
  align-items: center;
  gap: 6px;
  max-width: 100%;
  padding: 4px 10px;
  color: var(--w-text);
  background: var(--w-raised);
  border: 1px solid var(--w-line);
  border-radius: 4px;
  font: inherit;
  text-align: left;
  overflow-wrap: anywhere;
  cursor: pointer;
}
.winnow main > .w-button { align-self: flex-start; }
.w-button:hover:not(:disabled) { border-color: var(--w-primary); }
.w-button:disabled { opacity: 0.45; cursor: default; }
.w-button.w-strong:not(:disabled) { border-color: var(--w-primary); }
.winnow kbd {
  padding: 0 5px;
  border: 1px solid var(--w-line);
  border-bottom-width: 2px;
  border-radius: 3px;
  font: 12px/1.5 ui-monospace, monospace;
  white-space: nowrap;
}

.w-reviewer input { width: 220px; }
.w-queues { display: flex; flex-direction: column; gap: 8px; }
.w-queues li {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 12px;
  padding: 10px;
  background: var(--w-level);
  border-radius: 6px;
}
.w-queues li > .w-button { min-width: 190px; }
.w-queues li > div { display: flex; flex-direction: column; flex: 1; min-width: 180px; }

.w-one { display: flex; gap: 16px; flex: 1; min-height: 220px; }
.w-large { flex: 1 1 50%; min-width: 0; display: flex; background: var(--w-level); border-radius: 6px; overflow: hidden; }
.w-large :is(img, svg) { width: 100%; height: 100%; object-fit: contain; }
.w-one > section { flex: 1 1 340px; max-width: 46%; display: flex; flex-direction: column; gap: 10px; overflow: auto; }
.w-facts { display: grid; grid-template-columns: auto 1fr; gap: 4px 12px; align-items: baseline; }
.w-facts dt { color: var(--w-muted); }
.w-facts dd { margin: 0; overflow-wrap: anywhere; }
.w-facts :is(.w-given, .w-suggested) { font-size: 18px; font-weight: 600; }
.w-facts small { color: var(--w-muted); font-size: 13px; font-weight: 400; }
.w-neighbours { display: grid; grid-template-columns: repeat(auto-fill, minmax(58px, 1fr)); gap: 8px; }
.w-neighbours li { display: flex; flex-direction: column; font-size: 12px; overflow-wrap: anywhere; }
.w-neighbours :is(img, svg, .w-unseen) { width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--w-level); border-radius: 4px; }
.w-unseen {
  display: flex;
  flex-direction: column;
  justify-content: center;
  align-items: center;
  gap: 6px;
  width: 100%;
  min-height: 60px;
  padding: 8px;
  color: var(--w-muted);
  font-size: 12px;
  text-align: center;
  overflow: hidden;
}
.w-unseen code { overflow-wrap: anywhere; }

.w-choices {
  position: sticky;
  bottom: -10px;
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
  padding: 8px 0 10px;
  background: var(--fo-palette-background-mediaSpace, var(--w-page, inherit));
  border-top: 1px solid var(--w-line);
}
.w-choices .w-button { padding: 3px 8px; }
.w-classes { display: flex; flex-wrap: wrap; gap: 6px; flex-basis: 100%; }
.w-box { fill: none; stroke: var(--w-primary); stroke-width: 2px; vector-effect: non-scaling-stroke; }
.w-changes { display: flex; flex-direction: column; gap: 6px; margin: 0; padding: 0; list-style: none; }
.w-changes li { display: flex; align-items: center; gap: 8px; }
.w-changes small { color: var(--w-muted); }
.w-finished { display: flex; align-items: center; gap: 12px; color: var(--w-good); }

.w-grid { display: grid; gap: 8px; align-content: start; flex: 1; min-height: 160px; overflow: auto; padding: 3px; }
.w-grid figure { padding: 4px; background: var(--w-level); border: 2px solid transparent; border-radius: 6px; cursor: pointer; }
.w-grid figure[aria-selected="true"] { border-color: var(--w-primary); background: var(--w-raised); }
.w-grid figure[aria-current="true"] { outline: 2px solid var(--w-text); }
.w-grid :is(img, svg, .w-unseen) { width: 100%; height: 104px; object-fit: contain; }
.w-grid figcaption { font-size: 12px; overflow-wrap: anywhere; }
.w-faded { opacity: 0.45; }

.w-group { display: flex; flex-direction: column; gap: 10px; flex: 1; min-height: 0; overflow: auto; }
.w-members { display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: 12px; }
.w-members figure { padding: 8px; background: var(--w-level); border: 2px solid transparent; border-radius: 6px; }
.w-members :is(img, .w-unseen) { width: 100%; height: 210px; object-fit: contain; }
.w-members figcaption { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; padding-top: 6px; }
.w-kept { border-color: var(--w-good) !important; }
.w-removed { border-color: var(--w-bad) !important; }
.w-removed :is(img, .w-unseen) { opacity: 0.5; }
.w-split { padding: 0 6px; border: 1px solid var(--w-line); border-radius: 8px; }
.w-path { flex-basis: 100%; font-size: 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }

.w-cells { display: flex; flex-wrap: wrap; gap: 20px; align-items: flex-start; }
.w-cells ul { display: flex; flex-direction: column; gap: 4px; flex: 1 1 240px; max-width: 420px; max-height: 45vh; overflow: auto; padding: 3px; }
.w-cells .w-button { position: relative; width: 100%; overflow: hidden; isolation: isolate; }
.w-cells [aria-current="true"] { outline: 2px solid var(--w-text); }
.w-bar { position: absolute; inset: 0 auto 0 0; background: color-mix(in srgb, var(--w-primary) 22%, transparent); z-index: -1; }
.w-cells table { border-collapse: collapse; font-size: 12px; }
.w-cells th { font-weight: 400; text-align: right; padding: 2px 6px; max-width: 130px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.w-cells thead th { vertical-align: bottom; height: 84px; padding: 2px 0; }
.w-cells thead th span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 80px; overflow: hidden; text-overflow: ellipsis; }
.w-cells td { min-width: 30px; height: 26px; text-align: center; border: 1px solid var(--w-line); }
.w-cells thead td { border: none; white-space: nowrap; padding-right: 6px; }
.w-heat { cursor: pointer; background: color-mix(in srgb, var(--w-primary) var(--w-heat), transparent); }

.w-apply { max-width: 720px; }
.w-apply fieldset { display: flex; flex-direction: column; gap: 6px; padding: 8px 12px; border: 1px solid var(--w-line); border-radius: 6px; }
.w-apply ul { padding-left: 18px; list-style: disc; color: var(--w-muted); }

.w-filter, .w-help > div {
  background: var(--fo-palette-background-level3, var(--w-raised));
  border: 1px solid var(--w-line);
  border-radius: 6px;
  box-shadow: 0 6px 24px rgb(0 0 0 / 35%);
}
.w-filter { position: absolute; left: 14px; bottom: 60px; width: min(320px, 90%); padding: 8px; z-index: 3; }
.w-filter input { width: 100%; }
.w-filter ul { margin-top: 6px; max-height: 300px; overflow: auto; }
.w-filter li { padding: 4px 8px; border-radius: 4px; cursor: pointer; overflow-wrap: anywhere; }
.w-filter li[aria-selected="true"] { background: color-mix(in srgb, var(--w-primary) 30%, transparent); }
.w-help { position: absolute; inset: 0; display: flex; justify-content: center; align-items: flex-start; padding: 40px 12px; background: rgb(0 0 0 / 45%); z-index: 4; overflow: auto; }
.w-help > div { padding: 16px 22px; max-width: 460px; }
.w-help dl { display: grid; grid-template-columns: auto 1fr; gap: 6px 14px; margin: 10px 0; }
.w-help dd { margin: 0; }

@container (max-width: 640px) {
  .w-one { flex-direction: column; }
  .w-one > section { max-width: none; flex: none; overflow: visible; }
  .w-large { flex: none; height: min(260px, 28vh); }
}

@container (max-width: 420px) {
  .w-members { grid-template-columns: repeat(auto-fill, minmax(110px, 1fr)); gap: 8px; }
  .w-members :is(img, .w-unseen) { height: 110px; }
}
`;

  // src/Review.jsx
  var PATIENCE_MS = 6e4;
  var desks = /* @__PURE__ */ new Map();
  function Review({ schema }) {
    const panelId = window.__fosp__.usePanelId();
    const fire = window.__foo__.usePanelEvent();
    const methods = useRef(null);
    methods.current = { fire, view: schema.view };
    const [desk] = useState(() => deskOf(panelId, methods));
    const { dataset } = schema.view;
    useEffect(() => {
      desk.call = callBy(panelId, methods);
      if (desk.about && desk.about.dataset !== dataset) {
        desk.show("start");
      }
    }, [desk, dataset]);
    return /* @__PURE__ */ React.createElement(Screen, { desk });
  }
  function deskOf(panelId, methods) {
    if (!desks.has(panelId)) {
      desks.set(panelId, new Desk(callBy(panelId, methods), window.__fos__.getSampleSrc));
    }
    return desks.get(panelId);
  }
  function callBy(panelId, methods) {
    return (method, params) => new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the server does not answer")), PATIENCE_MS);
      const callback = (answer) => {
        clearTimeout(timer);
        const failure = answer?.error ?? answer?.errorMessage;
        if (failure || !answer?.result) {
          reject(new Error(String(failure?.message ?? failure ?? "the server does not answer")));
        } else {
          resolve(answer.result);
        }
        return false;
      };
      const { fire, view } = methods.current;
      fire(panelId, { operator: view[method], params, callback });
    });
  }
  function Screen({ desk }) {
    useSyncExternalStore(desk.subscribe, desk.snapshot);
    const root = useRef(null);
    const { screen, run } = desk;
    const isList = screen === "review" && run.family !== "groups";
    useEffect(() => {
      if (!desk.filter) {
        const form = screen === "apply" ? root.current.querySelector("main input") : null;
        (form ?? root.current).focus({ preventScroll: true });
      }
    }, [screen, run, desk.filter, desk.help, desk.plan?.done]);
    useFullHeight(root);
    const onKeyDown = (event) => {
      if (handle(desk, event, root.current)) {
        event.preventDefault();
      }
      event.stopPropagation();
    };
    return /* @__PURE__ */ React.createElement(
      "div",
      {
        className: "winnow",
        ref: root,
        tabIndex: 0,
        role: "application",
        "aria-label": "Winnow: review",
        "data-screen": screen,
        "data-saved": desk.outbox && !desk.outbox.unsaved ? "all" : "not all",
        onKeyDown
      },
      /* @__PURE__ */ React.createElement("style", null, style_default),
      /* @__PURE__ */ React.createElement(Status, { desk }),
      desk.error && /* @__PURE__ */ React.createElement("p", { className: "w-problem", role: "alert" }, desk.error, " ", /* @__PURE__ */ React.createElement(Button, { onClick: () => desk.begin() }, "Try again")),
      screen === "start" && /* @__PURE__ */ React.createElement(Start, { desk }),
      screen === "cells" && /* @__PURE__ */ React.createElement(Cells, { desk }),
      isList && /* @__PURE__ */ React.createElement(Labels, { desk }),
      screen === "review" && !isList && /* @__PURE__ */ React.createElement(Groups, { desk }),
      screen === "apply" && /* @__PURE__ */ React.createElement(Apply, { desk }),
      desk.help && /* @__PURE__ */ React.createElement(Help, { desk, keys: keysFor(desk) })
    );
  }
  function useFullHeight(root) {
    useEffect(() => {
      let panel = root.current.parentElement;
      while (panel.parentElement && !["auto", "scroll"].includes(getComputedStyle(panel).overflowY)) {
        panel = panel.parentElement;
      }
      const fit = () => root.current.style.height = `${panel.clientHeight}px`;
      const observer = new ResizeObserver(fit);
      observer.observe(panel);
      fit();
      return () => observer.disconnect();
    }, [root]);
  }
  function keysFor(desk) {
    return keysOf(desk.screen, desk.run?.family, desk.grid);
  }
  function handle(desk, event, root) {
    const { key, target } = event;
    const typed = ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName) && !["checkbox", "radio"].includes(target.type);
    if (typed) {
      if (key === "Escape") {
        root.focus({ preventScroll: true });
      }
      return false;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return false;
    }
    if (["Enter", " "].includes(key) && ["BUTTON", "INPUT", "SUMMARY"].includes(target.tagName)) {
      return false;
    }
    if (desk.help) {
      desk.toggle("help");
      return true;
    }
    if (desk.screen === "start") {
      const queue = desk.about?.queues[Number(key) - 1];
      if (queue?.waiting) {
        desk.open(queue);
        return true;
      }
    }
    if (desk.screen === "review") {
      if (/^[1-9]$/.test(key)) {
        return digit(desk, Number(key) - 1);
      }
      if (desk.grid && key.startsWith("Arrow")) {
        const columns = Number(root.querySelector("[data-columns]")?.dataset.columns ?? 1);
        const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[key];
        desk.stride(by, event.shiftKey);
        return true;
      }
    }
    return press(desk, key, keysFor(desk));
  }
  function digit(desk, index) {
    const { family, item } = desk.run;
    if (family === "groups") {
      desk.toggleMember(index);
    } else if (family === "sets") {
      const change = item && !desk.grid && changesOf(desk, item)[index];
      if (change) {
        desk.toggleChange(change.label);
      }
    } else if (desk.favourites[index] !== void 0 && desk.meant.length) {
      desk.pick(desk.favourites[index]);
    }
    return true;
  }

  // src/index.js
  window.__fop__.registerComponent({
    name: "WinnowReview",
    label: "WinnowReview",
    component: Review,
    type: window.__fop__.PluginComponentType.Component,
    activator: () => true
  });
})();
