/** Which of a target's metrics are worth a bar on its card. */

const PERCENT = /(^|[._])(used_?)?percent$/i;
const BARS_AT_MOST = 5;

/**
 * Bars of `target`: [{label, value (0 to 100), text?}].
 *
 * Every metric that ends in "percent" (cpu.percent, disk.used_percent, …) is one; so are the rate limit's used and
 * total together.
 */
export function bars(target) {
  const metrics = target.metrics ?? {};
  const found = [];
  const used = metrics["rate_limit.used"];
  const total = metrics["rate_limit.total"];
  if (Number.isFinite(used) && total > 0) {
    found.push({ label: "rate limit", value: (100 * used) / total, text: `${used.toLocaleString("en")} of ${total.toLocaleString("en")}` });
  }
  for (const [name, value] of Object.entries(metrics)) {
    if (name === "rate_limit.used_percent" && found.length) continue; // the bar of used and total says the same
    if (PERCENT.test(name) && Number.isFinite(value)) found.push({ label: label(name), value, metric: name });
  }
  return found.sort((a, b) => order(a.label) - order(b.label)).slice(0, BARS_AT_MOST);
}

/** The metric that a card's line shows where there is no latency worth a line: a host's cpu; "" for the latency. */
export function mainMetric(target) {
  if (target.kind !== "host") return "";
  return bars(target).find((bar) => bar.label === "cpu")?.metric ?? "";
}

function label(name) {
  return name.replace(PERCENT, "").replace(/[._]+/g, " ").trim() || name;
}

const FIRST = ["rate limit", "cpu", "memory", "disk"];

function order(text) {
  const at = FIRST.findIndex((word) => text.startsWith(word));
  return at < 0 ? FIRST.length : at;
}

/** How full is too full: words beside the colour. */
export function level(value) {
  return value >= 90 ? "high" : value >= 75 ? "raised" : "normal";
}
