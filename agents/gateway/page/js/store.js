/**
 * What the page knows: targets, alerts, what is unread. No DOM here.
 *
 * Everything that arrives is merged by a number that only grows (an alert's `number`), so a snapshot by REST, the
 * live stream and what is replayed after a gap may come in any order, and twice, and nothing is shown twice.
 */

import { parseTime } from "./format.js";

const KEPT_INACTIVE = 300;
const TOLD = new Set(["firing", "escalated", "flapping", "resolved"]); // the states that make a bell ring
/** Whether a transition makes it ring: one that is only recorded, such as that a recovery is being verified, does not. */
const rings = (alert) => TOLD.has(alert.state) && alert.notify !== false;
const RANK = { unhealthy: 0, degraded: 1, unknown: 2, healthy: 3 };
const SEVERITY_RANK = { critical: 0, warning: 1, info: 2 };

export const STATUSES = ["unhealthy", "degraded", "unknown", "healthy"];

export class Store {
  targets = new Map();
  alerts = new Map();
  unread = new Set();
  #listeners = new Map();
  #revision = 0;
  #touched = new Map(); // "target/x" or "alert/y" → revision of its last live change
  #readUpTo;
  #remember;

  /** `readUpTo`: time (ms) up to which alerts were read in an earlier visit, null at the first; `remember(ms)` keeps it. */
  constructor({ readUpTo = null, remember = () => {} } = {}) {
    this.#readUpTo = readUpTo;
    this.#remember = remember;
  }

  /** Call `listener(detail)` at each change of `kind`: targets, alerts, unread, fired. */
  on(kind, listener) {
    if (!this.#listeners.has(kind)) this.#listeners.set(kind, []);
    this.#listeners.get(kind).push(listener);
  }

  #tell(kind, detail) {
    for (const listener of this.#listeners.get(kind) ?? []) listener(detail);
  }

  /** Take before asking for a snapshot; what changes live after it is newer than the snapshot. */
  mark() {
    return this.#revision;
  }

  /** All targets, as GET /api/targets answers them, asked for at `mark`. */
  replaceTargets(list, mark) {
    const before = this.targets;
    this.targets = new Map(list.map((t) => [t.name, this.#since(`target/${t.name}`, mark) ? before.get(t.name) ?? t : t]));
    for (const [name, target] of before) {
      if (!this.targets.has(name) && this.#since(`target/${name}`, mark)) this.targets.set(name, target);
    }
    this.#tell("targets", { names: [...this.targets.keys()], all: true });
  }

  /** Targets of a health_update. */
  updateTargets(list) {
    for (const target of list) {
      this.targets.set(target.name, target);
      this.#touch(`target/${target.name}`);
    }
    this.#tell("targets", { names: list.map((t) => t.name), all: false });
  }

  /**
   * The active alerts, whole, and the latest ones, asked for at `mark`: what is held for active, is in neither and
   * did not change since, is over. At a first visit all of them count as read: they are no news.
   */
  replaceAlerts(active, latest, mark) {
    const all = [...active, ...latest];
    const there = new Set(all.map((a) => a.id));
    for (const [id, alert] of this.alerts) {
      if (!alert.active || there.has(id) || this.#since(`alert/${id}`, mark)) continue;
      this.alerts.delete(id);
      this.unread.delete(id);
    }
    if (this.#readUpTo === null) this.#read(Math.max(0, ...all.map((a) => parseTime(a.at) ?? 0)));
    this.mergeAlerts(all);
  }

  /** Alerts or transitions from REST or `history`: not new to the world, so unread only if later than what was read. */
  mergeAlerts(list) {
    for (const alert of list) {
      if (this.#take(alert) && rings(alert) && parseTime(alert.at) > this.#readUpTo) this.unread.add(alert.id);
    }
    this.#tell("alerts", {});
    this.#tell("unread", {});
  }

  /** A live transition. False where it is known already. */
  liveAlert(alert) {
    if (!this.#take(alert)) return false;
    this.#touch(`alert/${alert.id}`);
    if (rings(alert)) this.unread.add(alert.id);
    this.#tell("alerts", { alert });
    this.#tell("unread", {});
    if (rings(alert)) this.#tell("fired", alert);
    return true;
  }

  #take(alert) {
    const known = this.alerts.get(alert.id);
    if (known && known.number >= alert.number) return false;
    this.alerts.set(alert.id, alert);
    if (this.alerts.size > 2 * KEPT_INACTIVE) this.#forget();
    return true;
  }

  #forget() {
    const over = [...this.alerts.values()].filter((a) => !a.active).sort(newestFirst);
    for (const alert of over.slice(KEPT_INACTIVE)) this.alerts.delete(alert.id);
  }

  /** All alerts are read. */
  readAll() {
    this.unread.clear();
    this.#read(Math.max(this.#readUpTo ?? 0, ...[...this.alerts.values()].map((a) => parseTime(a.at) ?? 0)));
    this.#tell("unread", {});
  }

  /** Read up to `at` in another tab. */
  readElsewhere(at) {
    this.#readUpTo = Math.max(this.#readUpTo ?? 0, at);
    for (const id of this.unread) if (!((parseTime(this.alerts.get(id)?.at) ?? 0) > at)) this.unread.delete(id);
    this.#tell("unread", {});
  }

  #read(at) {
    this.#readUpTo = at;
    this.#remember(at);
  }

  #touch(key) {
    this.#revision += 1;
    this.#touched.set(key, this.#revision);
  }

  #since(key, mark) {
    return (this.#touched.get(key) ?? 0) > mark;
  }

  /** Active alerts, worst first, then the newest. */
  active() {
    return [...this.alerts.values()].filter((a) => a.active).sort((a, b) => severityRank(a) - severityRank(b) || newestFirst(a, b));
  }

  /** The latest alerts that were ever told, newest first. */
  latest(count) {
    return [...this.alerts.values()].filter((a) => a.fired !== null && a.fired !== undefined).sort(newestFirst).slice(0, count);
  }

  /** Alerts of one target that fired. */
  ofTarget(name) {
    return [...this.alerts.values()].filter((a) => a.target === name && a.fired);
  }

  /** Targets, unhealthy first, otherwise as configured. */
  sorted() {
    return [...this.targets.values()].sort((a, b) => rank(a) - rank(b)); // sort is stable
  }

  /** How many targets are in each status. */
  counts() {
    const counts = Object.fromEntries(STATUSES.map((status) => [status, 0]));
    for (const target of this.targets.values()) counts[statusOf(target)] += 1;
    return counts;
  }
}

/** A target's status, as one of STATUSES. */
export function statusOf(target) {
  return target.status in RANK ? target.status : "unknown";
}

function rank(target) {
  return RANK[statusOf(target)];
}

function severityRank(alert) {
  return SEVERITY_RANK[alert.severity] ?? 3;
}

function newestFirst(a, b) {
  return (parseTime(b.at) ?? 0) - (parseTime(a.at) ?? 0);
}
