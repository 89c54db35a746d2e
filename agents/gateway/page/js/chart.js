/**
 * A small SVG chart: lanes one above the other over one time axis, with gaps where there is no data, markers for
 * alerts, and a crosshair that follows the pointer or the arrow keys.
 */

import { h, s } from "./dom.js";
import { clock, dayClock } from "./format.js";

const TOP = 5; // room for the label of the first axis, px
const AXIS = 17; // height of the time axis
const LANE_GAP = 13;
const GUTTER = 44; // at the right, for the labels of the lanes' axes

/** The least of 1, 1.5, 2, 3, 5, 8 × 10ⁿ that is not below `value`: a top of the axis that reads well. */
export function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 3, 5, 8, 10].find((step) => step * power >= value * 0.999999);
}

/** `points` cut into runs with no silence longer than `gapMs`, leaving out those where `value` is null. */
export function runs(points, value, gapMs) {
  const found = [];
  let run = null;
  let last = -Infinity;
  for (const point of points) {
    if (value(point) === null) {
      // A check that failed has no latency: that is a hole in the line, not a bridge over it.
      if (point.errors > 0) run = null;
      continue;
    }
    if (!run || point.t - last > gapMs) found.push((run = []));
    run.push(point);
    last = point.t;
  }
  return found;
}

export class Chart {
  #lanes;
  #data = null;
  #width = 0;
  #at = null;

  /** `lanes`: [{name, height, value(p), low?(p), high?(p), format(v), top?, kind: "line"|"bars"}]. `label`: for screen readers. */
  constructor({ lanes, label, keys = false }) {
    this.#lanes = lanes;
    this.label = label;
    this.height = TOP + lanes.reduce((sum, lane) => sum + lane.height + LANE_GAP, -LANE_GAP) + AXIS;
    this.svg = s("svg", { class: "chart-svg", height: this.height, role: "img", "aria-label": label });
    this.tip = h("div", { class: "chart-tip", hidden: true });
    this.element = h("div", { class: "chart", tabindex: keys ? "0" : null }, this.svg, this.tip);
    this.svg.addEventListener("pointermove", (event) => this.#point(event.clientX - this.svg.getBoundingClientRect().left));
    this.svg.addEventListener("pointerleave", () => this.#leave());
    if (keys) {
      this.element.addEventListener("keydown", (event) => this.#key(event));
      this.element.addEventListener("blur", () => this.#leave());
    }
  }

  /** Draw `points` between `from` and `to` (ms). `markers`: [{from, to, severity, text}]; `guide`: {lane, value, text}. */
  draw({ points, from, to, gapMs, markers = [], guide = null, note = "" }) {
    this.#data = { points: points.filter((p) => p.t >= from - gapMs && p.t <= to), from, to, gapMs, markers, guide, note };
    this.#paint();
  }

  /** The element's width changed. */
  resize(width) {
    if (Math.abs(width - GUTTER - this.#width) < 1) return;
    this.#width = width - GUTTER;
    this.#paint();
  }

  #x(t) {
    const { from, to } = this.#data;
    return ((t - from) / (to - from)) * this.#width;
  }

  #paint() {
    if (!this.#data || this.#width < 40) return;
    const { svg } = this;
    svg.setAttribute("viewBox", `0 0 ${this.#width + GUTTER} ${this.height}`);
    const parts = [];
    let y = TOP;
    for (const lane of this.#lanes) {
      parts.push(this.#lane(lane, y));
      y += lane.height + LANE_GAP;
    }
    parts.push(...this.#markers(y - LANE_GAP), ...this.#axis(y - LANE_GAP));
    this.cross = s("g", { class: "chart-cross", visibility: "hidden" });
    svg.replaceChildren(...parts, this.cross);
    svg.setAttribute("aria-label", `${this.label}. ${this.#spoken()}`);
    if (this.#at !== null) this.#show(this.#at);
  }

  #lane(lane, top) {
    const { points, gapMs, guide, note } = this.#data;
    const floor = top + lane.height;
    const highest = Math.max(0, ...points.map((p) => (lane.high ?? lane.value)(p) ?? 0), guide?.lane === lane.name ? guide.value : 0);
    const most = lane.top ?? niceTop(1.15 * highest);
    lane.y = (v) => floor - (Math.min(v, most) / most) * lane.height;
    const parts = [
      s("line", { class: "chart-base", x1: 0, x2: this.#width, y1: floor, y2: floor }),
      s("line", { class: "chart-grid", x1: 0, x2: this.#width, y1: top, y2: top }),
    ];
    const found = runs(points, lane.value, gapMs);
    if (lane.kind === "bars") parts.push(this.#bars(lane, floor));
    else for (const run of found) parts.push(...this.#run(lane, run, floor));
    if (guide?.lane === lane.name && guide.value !== null) {
      const at = lane.y(guide.value);
      parts.push(s("line", { class: "chart-guide", x1: 0, x2: this.#width, y1: at, y2: at }));
      parts.push(s("text", { class: "chart-text", x: this.#width, y: at - 3, "text-anchor": "end", text: guide.text }));
    }
    if (!points.length && note && lane === this.#lanes[0]) {
      parts.push(s("text", { class: "chart-text chart-note", x: this.#width / 2, y: top + lane.height / 2 + 6, "text-anchor": "middle", text: note }));
    }
    parts.push(s("text", { class: "chart-text", x: 0, y: top + 11, text: lane.name }));
    if (points.length) {
      const tick = (y, value) => s("text", { class: "chart-text", x: this.#width + 6, y, text: lane.format(value) });
      parts.push(tick(top + 4, most));
      if (lane.height > 30) parts.push(tick(floor + 4, 0));
    }
    return s("g", { class: `chart-lane chart-${lane.style}` }, parts);
  }

  #run(lane, run, floor) {
    const place = (p) => `${this.#x(p.t).toFixed(1)} ${lane.y(lane.value(p)).toFixed(1)}`;
    const parts = [];
    if (run.length === 1) return [s("circle", { class: "chart-dot", cx: this.#x(run[0].t), cy: lane.y(lane.value(run[0])), r: 2 })];
    if (lane.low) {
      const upper = run.map((p) => `${this.#x(p.t).toFixed(1)} ${lane.y(lane.high(p)).toFixed(1)}`);
      const lower = run.map((p) => `${this.#x(p.t).toFixed(1)} ${lane.y(lane.low(p)).toFixed(1)}`).reverse();
      parts.push(s("path", { class: "chart-band", d: `M${upper.join("L")}L${lower.join("L")}Z` }));
    }
    const line = run.map(place).join("L");
    const [first, last] = [this.#x(run[0].t).toFixed(1), this.#x(run.at(-1).t).toFixed(1)];
    parts.push(s("path", { class: "chart-area", d: `M${first} ${floor}L${line}L${last} ${floor}Z` }));
    parts.push(s("path", { class: "chart-line", d: `M${line}` }));
    return parts;
  }

  #bars(lane, floor) {
    const { points, gapMs } = this.#data;
    const width = Math.max(1.5, Math.min(6, this.#x(this.#data.from + gapMs / 2.5) * 0.7));
    const bars = points.filter((p) => lane.value(p) > 0).map((p) => {
      const y = Math.min(lane.y(lane.value(p)), floor - 2); // even the smallest error is seen
      return `M${(this.#x(p.t) - width / 2).toFixed(1)} ${floor}V${y.toFixed(1)}h${width.toFixed(1)}V${floor}Z`;
    });
    return s("path", { class: "chart-bars", d: bars.join("") || "M0 0" });
  }

  #markers(floor) {
    const { from, to, markers } = this.#data;
    return markers.filter((m) => (m.to ?? to) >= from && m.from <= to).flatMap((m) => {
      const x1 = Math.max(0, this.#x(m.from));
      const x2 = Math.min(this.#width, this.#x(m.to ?? to));
      const shade = s("rect", { class: `chart-shade is-${m.severity}`, x: x1, y: TOP, width: Math.max(1, x2 - x1), height: floor - TOP });
      if (m.from < from) return [shade];
      return [shade, s("path", { class: `chart-mark is-${m.severity}`, d: `M${x1 - 4} ${TOP}h8l-4 7Z` })];
    });
  }

  #axis(floor) {
    const { from, to } = this.#data;
    const long = to - from > 26 * 3_600_000;
    const count = Math.max(2, Math.min(6, Math.floor(this.#width / (long ? 130 : 90))));
    return Array.from({ length: count }, (_, i) => {
      const t = from + ((to - from) * i) / (count - 1);
      const anchor = i === 0 ? "start" : i === count - 1 ? "end" : "middle";
      return s("text", {
        class: "chart-text", x: this.#x(t), y: floor + 13, "text-anchor": anchor,
        text: i === count - 1 ? "now" : long ? dayClock(t) : clock(t),
      });
    });
  }

  #point(x) {
    if (!this.#data?.points.length) return;
    const { points, from, to } = this.#data;
    const t = from + (x / this.#width) * (to - from);
    let best = 0;
    points.forEach((p, i) => {
      if (Math.abs(p.t - t) < Math.abs(points[best].t - t)) best = i;
    });
    this.#show(best);
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
    const count = this.#data?.points.length ?? 0;
    if (!(event.key in steps) || !count) return;
    event.preventDefault();
    this.#show(Math.max(0, Math.min(count - 1, (this.#at ?? count) + steps[event.key])));
  }

  #show(index) {
    const { points, markers, to } = this.#data;
    const point = points[Math.min(index, points.length - 1)];
    if (!point) return this.#leave();
    this.#at = index;
    const x = this.#x(point.t);
    const dots = this.#lanes.filter((lane) => lane.kind !== "bars" && lane.value(point) !== null)
      .map((lane) => s("circle", { class: `chart-dot chart-${lane.style}`, cx: x, cy: lane.y(lane.value(point)), r: 3.5 }));
    this.cross.replaceChildren(s("line", { x1: x, x2: x, y1: TOP, y2: this.height - AXIS }), ...dots);
    this.cross.setAttribute("visibility", "visible");
    const during = markers.filter((m) => m.from <= point.t && (m.to ?? to) >= point.t).slice(0, 3);
    this.tip.replaceChildren(
      h("strong", { text: to - this.#data.from > 26 * 3_600_000 ? dayClock(point.t) : clock(point.t, true) }),
      ...this.#lanes.map((lane) => h("span", { class: `chart-${lane.style}` }, h("i"), `${lane.name} ${lane.format(lane.value(point))}`)),
      ...during.map((m) => h("em", { text: m.text })));
    this.tip.hidden = false;
    const half = this.tip.offsetWidth / 2;
    this.tip.style.left = `${Math.max(half, Math.min(this.#width - half, x))}px`;
  }

  #leave() {
    this.#at = null;
    this.tip.hidden = true;
    this.cross?.setAttribute("visibility", "hidden");
  }

  #spoken() {
    const { points } = this.#data;
    if (!points.length) return "No data.";
    return this.#lanes.map((lane) => {
      const values = points.map(lane.value).filter((v) => v !== null);
      if (!values.length) return `${lane.name}: none`;
      return `${lane.name}: now ${lane.format(values.at(-1))}, least ${lane.format(Math.min(...values))}, most ${lane.format(Math.max(...values))}`;
    }).join("; ");
  }
}

/** One observer for every chart: tells each its width. */
const observer = new ResizeObserver((entries) => {
  for (const entry of entries) entry.target.chart?.resize(Math.floor(entry.contentRect.width));
});

/** Keep `chart` as wide as its place. */
export function watchWidth(chart) {
  chart.element.chart = chart;
  observer.observe(chart.element);
}

export function unwatchWidth(chart) {
  observer.unobserve(chart.element);
}
