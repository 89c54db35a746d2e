/** Points over time of each target: fetched when a card comes into sight, then continued from live updates. */

import { api } from "./api.js";
import { now } from "./clock.js";
import { parseTime } from "./format.js";

const AT_ONCE = 4;
const STALE_MS = 120_000;

/** Points of an answer of GET /api/targets/{name}/series; times in ms. Values are those of `metric`, or latencies. */
export function parsePoints(answer, metric = "") {
  return answer.points.map((p) => {
    const measured = metric ? p.value : p.latency_ms;
    return {
      t: parseTime(p.time), count: p.count, errors: p.errors, rate: p.error_rate,
      mean: measured?.mean ?? null, min: measured?.min ?? null, max: measured?.max ?? null,
    };
  });
}

/** Fold one live check into `points` (changed in place), in panes of `stepMs`; older than `keepMs` is dropped. */
export function appendCheck(points, { at, ok, value }, stepMs, keepMs) {
  const t = Math.floor(at / stepMs) * stepMs;
  let point = points.at(-1);
  if (point && point.t > t) return; // out of order: the next fetch has it
  if (!point || point.t < t) {
    point = { t, count: 0, errors: 0, rate: 0, mean: null, min: null, max: null, values: 0 };
    points.push(point);
  }
  point.count += 1;
  if (ok === false) point.errors += 1;
  point.rate = point.errors / point.count;
  if (value !== null && value !== undefined) {
    point.values = (point.values ?? point.count - 1) + 1;
    point.mean = point.mean === null ? value : point.mean + (value - point.mean) / point.values;
    point.min = point.min === null ? value : Math.min(point.min, value);
    point.max = point.max === null ? value : Math.max(point.max, value);
  }
  while (points.length && points[0].t < t - keepMs) points.shift();
}

/** The longest silence (ms) that is still no gap, for a target checked every `everyS` seconds in panes of `stepMs`. */
export function gapAfter(everyS, stepMs) {
  return 2.5 * Math.max(stepMs, 1000 * (everyS ?? 0));
}

/** The last hour of each target, for the cards. */
export class SeriesCache {
  #entries = new Map();
  #queue = [];
  #busy = 0;

  constructor({ minutes = 60, stepS = 30, onChange }) {
    this.minutes = minutes;
    this.stepS = stepS;
    this.onChange = onChange;
  }

  /** What is known of `target` now: {points, stepMs, error, loading}. */
  get(target) {
    let entry = this.#entries.get(target);
    if (!entry) {
      entry = { points: [], stepMs: 1000 * this.stepS, fetched: -Infinity, loading: false, error: null, lastCheck: null, metric: "" };
      this.#entries.set(target, entry);
    }
    return entry;
  }

  /** See to it that `target` is fetched, if it is not fresh. `metric` empty for the checks themselves. */
  want(target, metric = "") {
    const entry = this.get(target);
    this.#measure(entry, metric);
    if (entry.loading || now() - entry.fetched < STALE_MS) return;
    entry.loading = true;
    this.#queue.push(target);
    this.#work();
  }

  /** Before its first check a target has no metrics: what was fetched then is of latencies, and worth nothing now. */
  #measure(entry, metric) {
    if (entry.metric === metric) return;
    Object.assign(entry, { metric, points: [], fetched: -Infinity });
  }

  /** Nothing that was fetched is whole any more (the connection was away). */
  invalidate() {
    for (const entry of this.#entries.values()) entry.fetched = -Infinity;
  }

  /** A card went out of sight before its turn came. */
  unwant(target) {
    const at = this.#queue.indexOf(target);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    this.get(target).loading = false;
  }

  /** A live check of `target`; its value is `metric` of it, or the latency. */
  append(target, metric = "") {
    const entry = this.#entries.get(target.name);
    const at = parseTime(target.last_check);
    if (!entry || at === null || entry.lastCheck === target.last_check) return;
    entry.lastCheck = target.last_check;
    this.#measure(entry, metric);
    const value = metric ? target.metrics?.[metric] : target.latency_ms;
    appendCheck(entry.points, { at, ok: target.ok, value }, entry.stepMs, this.minutes * 60_000);
  }

  async #work() {
    while (this.#busy < AT_ONCE && this.#queue.length) {
      const target = this.#queue.shift();
      this.#busy += 1;
      this.#fetch(target).finally(() => {
        this.#busy -= 1;
        this.#work();
      });
    }
  }

  async #fetch(target) {
    const entry = this.get(target);
    const { metric } = entry;
    try {
      const answer = await api.series(target, this.minutes, this.stepS, metric);
      if (entry.metric === metric) this.#take(entry, answer);
      entry.error = null;
    } catch (error) {
      entry.error = error.message;
    }
    if (entry.metric === metric) entry.fetched = now(); // else whoever draws it asks again
    entry.loading = false;
    this.onChange(target);
  }

  #take(entry, answer) {
    const points = parsePoints(answer, entry.metric);
    // What came live while the answer was under way is newer than its last point.
    const last = points.at(-1)?.t ?? -Infinity;
    entry.points = points.concat(entry.points.filter((p) => p.t > last));
    entry.stepMs = 1000 * answer.step_s;
  }
}
