/** The two lanes that every chart of a target has: what it measures, and how often it failed. */

import { latency, metricValue, share } from "./format.js";

/** Lanes for `metric` ("" for the latency). */
export function lanesFor(metric, { tall = false } = {}) {
  const percent = /percent$/i.test(metric);
  return [
    {
      name: metric ? metric.replace(/[._]?(used_?)?percent$/i, "").replace(/[._]/g, " ") : "latency", style: "latency", kind: "line", height: tall ? 130 : 54,
      value: (p) => p.mean, low: tall ? (p) => p.min ?? p.mean : null, high: tall ? (p) => p.max ?? p.mean : null,
      top: percent ? 100 : null, format: metric ? (v) => metricValue(metric, v) : (v) => (v === 0 ? "0" : latency(v)),
    },
    {
      name: "error rate", style: "errors", kind: "bars", height: tall ? 56 : 22,
      value: (p) => p.rate, top: 1, format: share,
    },
  ];
}

/** Alerts as a chart's markers. */
export function markersOf(alerts, parse) {
  return alerts.map((alert) => ({
    from: parse(alert.fired), to: parse(alert.resolved), severity: alert.severity, text: `${alert.severity}: ${alert.rule}`,
  }));
}
