// Decisions on their way to the server: in order, in batches, kept in the browser's storage until they are saved.

const BATCH = 200;
const TOGETHER_MS = 150; // decisions that follow each other this quickly go in one request
const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 30_000;
const ORPHANED_MS = 60_000; // what another tab has not touched for so long is taken over from it
const PREFIX = "winnow.review.unsaved";

/**
 * Sends operations one after the other: `{op: "save", kind, context, steps}` or `{op: "back", ..., keys}`.
 *
 * `call(method, params)` returns a promise of the server's answer; `{error}` in it means that the server refused.
 * `heard(operation, answer)` is told what became of each, `changed()` whenever there is something new to show.
 */
export class Outbox {
  constructor({ dataset, reviewer, call, heard, changed, storage = window.localStorage }) {
    Object.assign(this, { dataset, reviewer, call, heard, changed, storage });
    this.waiting = [];
    this.sending = null;
    this.sessions = {}; // kind -> the action of the log that this tab's decisions belong to
    this.error = null;
    this.refused = false; // the server answered, and would answer the same again
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
      // Without a session nothing of it was saved that could be taken back.
      if (op === "save" || session) {
        answer = await this.call(op, { ...context, kind, session, ...(op === "save" ? { reviewer, steps } : { keys }) });
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
      // A storage that is full or blocked costs no decision, unless the page is left before they are sent.
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
}

/** Return what was kept; of what is damaged nothing, which is then cleared away. */
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
