// One walk through one queue: what is loaded of it, where the reviewer stands, what was decided on the way.

const AHEAD = 12; // fewer undecided items than this after the current one: the next page is asked for
const PRELOADED = 4;
const PAUSE_MS = 60_000; // a longer time without a decision is no reviewing time
const RATE_OVER = 30; // decisions that the rate is taken over

/**
 * `page(params)` returns a promise of `{items, next, waiting}`; `imageOf(path)` an image's address. An item is one of the
 * server's, with what was decided here in `mine` (null = nothing), and `skipped`, why the server did not take that.
 */
export class Run {
  constructor({ kind, family, context, cell, page, imageOf, changed, pageSize }) {
    Object.assign(this, { kind, family, context, cell, page, imageOf, changed, pageSize });
    this.items = [];
    this.at = 0;
    this.next = null;
    this.ended = false;
    this.loading = false;
    this.error = null;
    this.total = null; // what waited when the run began
    this.decided = 0;
    this.history = []; // keys decided at one stroke, the latest last
    this.times = [];
    this.selected = new Set();
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
    const active = spans.filter((span) => span < PAUSE_MS);
    const ms = active.reduce((sum, span) => sum + span, 0);
    return active.length < 2 || ms === 0 ? null : (active.length / ms) * 60_000;
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
      this.total ??= answer.waiting;
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
}

export function isOpen(item) {
  return Boolean(item.key) && !item.mine && !item.skipped && !item.decision;
}

export function imagesOf(item) {
  return item.members ? item.members.map((member) => member.image) : [item.image];
}
