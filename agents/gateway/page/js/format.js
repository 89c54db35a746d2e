/** Numbers, times and conditions as people read them. Pure; times are milliseconds since the epoch. */

const DASH = "–";

/** Milliseconds of an ISO time, or null. */
export function parseTime(text) {
  const at = text ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? null : at;
}

/** `4.31` → "4.3", `1234.5` → "1,235": three figures are enough to judge by. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** A latency: "0.8 ms", "812 ms", "1.24 s". */
export function latency(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return DASH;
  if (ms >= 1000) return `${(ms / 1000).toLocaleString("en", { maximumFractionDigits: ms >= 10_000 ? 1 : 2 })} s`;
  return `${ms.toLocaleString("en", { maximumFractionDigits: ms >= 100 ? 0 : ms >= 1 ? 1 : 2 })} ms`;
}

/** A share from 0 to 1 as "99.86 %". Never rounded up to a perfect 100 %, nor down to 0 %. */
export function share(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const percent = value * 100;
  if (percent > 99.99 && percent < 100) return "> 99.99 %";
  if (percent > 0 && percent < 0.01) return "< 0.01 %";
  return `${percent.toLocaleString("en", { maximumFractionDigits: percent > 99 || percent < 1 ? 2 : 1 })} %`;
}

/** A number from 0 to 100 as "41 %". */
export function percent(value) {
  return `${number(Math.round(value * 10) / 10)} %`;
}

/** A length of time: "4 s", "3 min", "2 h 10 min", "5 d". */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 && hours < 10 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}

/** "just now", "12 s ago", "3 min ago". */
export function ago(at, now) {
  if (at === null) return "never";
  return now - at < 2000 ? "just now" : `${duration(now - at)} ago`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const CLOCK_SECONDS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Time of day: "14:03", with seconds on wish. */
export function clock(at, seconds = false) {
  return at === null ? DASH : (seconds ? CLOCK_SECONDS : CLOCK).format(at);
}

/** Day and time of day, for spans longer than a day: "3 Mar, 14:03". */
export function dayClock(at) {
  return `${DAY.format(at)}, ${CLOCK.format(at)}`;
}

/** Date and time in full, for titles. */
export function full(at) {
  return at === null ? "" : FULL.format(at);
}

/** A value of `metric` in its unit. */
export function metricValue(metric, value, aggregate = "") {
  if (value === null || value === undefined) return DASH;
  if (/ratio$/.test(aggregate)) return `${number(value)} ×`;
  if (/^(zscore|robust)$/.test(aggregate)) return `${number(value)} σ`;
  if (/^(change|seasonal_change|surprise|count|rate)$/.test(aggregate)) return number(value);
  if (/^(flat|forecast|absent)$/.test(aggregate)) return duration(value * 1000);
  if (metric === "error_rate" || /(^|[._])(rate|share|ratio)$/.test(metric)) return share(value);
  if (metric === "latency" || /(^|[._])ms$/.test(metric)) return latency(value);
  if (/percent$/i.test(metric)) return percent(value);
  if (/(^|[._])bytes$/.test(metric)) return bytes(value);
  if (/(^|[._])(seconds|s)$/.test(metric)) return duration(value * 1000);
  return number(value);
}

/** "3.2 GB". */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let power = 0;
  for (; Math.abs(value) >= 1000 && power < units.length - 1; power += 1) value /= 1000;
  return `${number(value)} ${units[power]}`;
}

/** What an alert saw against what it allows: {value: "40 %", limit: "> 5 %", label: "error rate"}; null if unknown. */
export function condition(alert) {
  const { metric, aggregate, operator, threshold, value } = alert;
  if (!metric || threshold === null || threshold === undefined) return null;
  if (metric === "up") return { label: "answers", value: value === 0 ? "no" : DASH, limit: "" };
  const over = {
    mean: "mean ", min: "least ", max: "highest ", ratio: "mean ", change: "change of ", seasonal_change: "change for the hour of ",
    surprise: "surprise of ", flat: "unmoved: ", forecast: "time left of ", absent: "silence of ",
  }[aggregate] ?? "";
  const usual = { ratio: " the usual", error_ratio: " the usual", zscore: " off the usual", robust: " off the usual" }[aggregate] ?? "";
  return {
    label: over + metric.replace(/[._]/g, " "),
    value: metricValue(metric, value, aggregate) + usual,
    limit: `${operator} ${metricValue(metric, threshold, aggregate)}`,
  };
}

/** One sentence for an alert. */
export function summary(alert) {
  return alert.annotations?.summary || `${alert.rule} on ${alert.target}`;
}

/** What keeps an alert quiet: rule and target of another alert where it is one that is known, else its own name. */
export function calledBy(by, alerts) {
  const cause = alerts.get(by);
  return cause ? `${cause.rule} on ${cause.target}` : by;
}

/**
 * Who has an alert in hand, or why nobody is told of it, in one sentence; empty where it is simply firing. `alerts`
 * are those that are known, by id.
 */
export function standing(alert, alerts) {
  const by = calledBy(alert.by, alerts);
  const who = alert.actor && alert.actor !== "probestream" ? alert.actor : "";
  const until = alert.until ? ` until ${dayClock(parseTime(alert.until))}` : "";
  const said = alert.comment ? `: ${alert.comment}` : "";
  switch (alert.state) {
    case "acknowledged": return who ? `Acknowledged by ${who}${said}` : "";
    case "snoozed": return `Snoozed${who ? ` by ${who}` : ""}${until}${who ? said : ""}`;
    case "suppressed": return `${alert.words || "Nobody is told."}${by || until ? ` (${[by, until.trim()].filter(Boolean).join(" ")})` : ""}`;
    case "escalated": return `Nobody acknowledged it in time: step ${alert.step}${alert.receivers?.length ? `, also told: ${alert.receivers.join(", ")}` : ""}`;
    case "flapping": return "It comes and goes, so it is told once, and then not until it is steady.";
    default: return "";
  }
}

/** What falls with an alert's target, or which targets of a group it is about; empty where neither is the case. */
export function reach(alert) {
  if (alert.annotations?.takes_down) return `takes down ${alert.annotations.takes_down}`;
  return alert.member_total ? `${alert.member_count} of ${plural(alert.member_total, "target")}` : "";
}

/** "1 target", "2 targets". */
export function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}
