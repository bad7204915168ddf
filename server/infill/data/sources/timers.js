import { setTimeout as wait } from "node:timers/promises";

const UNITS = { ms: 1, s: 1000, min: 60_000 };

/** Milliseconds of a text such as "1.5 s". */
export function duration(text) {
  const found = /^(\d+(?:\.\d+)?)\s*(ms|s|min)$/.exec(text.trim());
  if (!found) {
    throw new Error(`${text} is not a duration.`);
  }
  return Number(found[1]) * UNITS[found[2]];
}

export class Timers {
  constructor(now = () => Date.now()) {
    this.now = now;
    this.pending = new Map();
  }

  start(name, text, task) {
    const due = this.now() + duration(text);
    this.pending.set(name, { due, task });
    return due;
  }

  cancel(name) {
    return this.pending.delete(name);
  }

  async run() {
    while (this.pending.size > 0) {
      const [name, next] = [...this.pending].sort((a, b) => a[1].due - b[1].due)[0];
      await wait(Math.max(0, next.due - this.now()));
      this.pending.delete(name);
      await next.task({ name, late: this.now() - next.due });
    }
  }
}
