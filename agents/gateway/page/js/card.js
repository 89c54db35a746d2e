/** One target's card. Its head exists from the start; the rest is built when it first comes into sight. */

import { Chart, unwatchWidth, watchWidth } from "./chart.js";
import { now, setTime, timeElement } from "./clock.js";
import { arrange, h, icon, setText } from "./dom.js";
import { latency, parseTime, percent, plural, share } from "./format.js";
import { lanesFor, markersOf } from "./lanes.js";
import { bars, level, mainMetric } from "./metrics.js";
import { gapAfter } from "./series.js";
import { statusOf } from "./store.js";

export const STATUS_WORD = { healthy: "Healthy", degraded: "Degraded", unhealthy: "Unhealthy", unknown: "Not checked yet" };

const SPAN_MS = 3_600_000;

export class Card {
  #target;
  #body = null;
  #chart = null;
  #status = null;

  constructor(target) {
    this.#target = target;
    this.name = h("button", { type: "button", class: "card-name", text: target.name, title: target.name });
    this.word = h("span", { class: "card-word" });
    this.mark = h("span", { class: "card-mark" });
    this.kind = h("p", { class: "card-labels" });
    this.element = h("li", { class: "card", data: { target: target.name } },
      h("div", { class: "card-head" }, this.mark, h("h3", {}, this.name), this.word), this.kind);
    this.#head();
  }

  get target() {
    return this.#target;
  }

  /** Other data for the same target. Drawn now if `visible`; whoever calls draws it later otherwise. */
  update(target) {
    this.#target = target;
    this.#head();
  }

  #head() {
    const target = this.#target;
    const status = statusOf(target);
    if (status !== this.#status) {
      this.#status = status;
      this.element.dataset.status = status;
      this.mark.replaceChildren(icon(status));
      setText(this.word, STATUS_WORD[status]);
    }
    const labels = Object.entries(target.labels ?? {}).filter(([key, value]) => !["kind", "target"].includes(key) && value !== target.name);
    const tags = [h("span", { class: "tag tag-kind", text: target.kind }), ...labels.slice(0, 4).map(([key, value]) => tag(key, value))];
    const key = JSON.stringify([target.kind, labels]);
    if (this.kind.dataset.key !== key) {
      this.kind.dataset.key = key;
      this.kind.replaceChildren(...tags);
    }
  }

  /** Draw everything: figures, bars, message, chart. */
  draw(series, alerts) {
    if (!this.#body) this.#build();
    const target = this.#target;
    const metric = mainMetric(target);
    const shown = metric ? percent(target.metrics[metric]) : latency(target.latency_ms);
    setText(this.value, target.last_check ? shown : "–");
    setText(this.valueName, metric ? "cpu" : "latency");
    setText(this.errors, share(target.error_rate));
    this.errors.classList.toggle("is-bad", target.error_rate > 0);
    setText(this.uptime, share(target.uptime_1h));
    this.#bars(metric);
    const status = statusOf(target);
    const message = status === "healthy" ? "" : target.message || ruleWords(target.rules ?? []);
    setText(this.message, message);
    this.message.hidden = !message;
    setText(this.alertCount, target.active_alerts ? plural(target.active_alerts, "alert") : "");
    this.#checked();
    this.#draw(series, alerts, metric);
  }

  #build() {
    this.value = h("dd");
    this.valueName = h("dt");
    this.errors = h("dd");
    this.uptime = h("dd");
    this.barList = h("div", { class: "bars", hidden: true });
    this.message = h("p", { class: "card-message", hidden: true });
    this.alertCount = h("span", { class: "card-alerts" });
    this.checked = timeElement(this.#target.last_check);
    this.checkedPlace = h("span");
    this.chartPlace = h("div", { class: "card-chart" });
    this.waiting = h("p", { class: "quiet-text card-waiting", hidden: true });
    this.#body = [
      h("dl", { class: "figures" },
        h("div", {}, this.valueName, this.value),
        h("div", {}, h("dt", { text: "errors, 5 min" }), this.errors),
        h("div", {}, h("dt", { text: "uptime, 1 h" }), this.uptime)),
      this.message, this.barList, this.chartPlace, this.waiting,
      h("p", { class: "card-foot" }, this.checkedPlace, this.alertCount),
    ];
    this.element.append(...this.#body);
  }

  #checked() {
    const checked = this.#target.last_check;
    setTime(this.checked, checked);
    const words = checked ? "checked" : "no check so far";
    if (this.checkedPlace.dataset.words === words) return;
    this.checkedPlace.dataset.words = words;
    this.checkedPlace.replaceChildren(...(checked ? ["checked ", this.checked] : [words]));
  }

  #bars(metric) {
    const found = bars(this.#target).filter((bar) => bar.metric !== metric);
    this.barList.hidden = !found.length;
    arrange(this.barList, found.map((bar, i) => {
      const row = this.barList.children[i] ?? barRow();
      row.set(bar);
      return row;
    }));
  }

  #draw(series, alerts, metric) {
    if (!this.#chart || this.chartMetric !== metric) {
      if (this.#chart) unwatchWidth(this.#chart);
      this.chartMetric = metric;
      this.#chart = new Chart({ lanes: lanesFor(metric), label: `${this.#target.name}, last hour` });
      this.chartPlace.replaceChildren(this.#chart.element);
      watchWidth(this.#chart);
    }
    const nothing = !this.#target.last_check && !series.points.length && !series.loading;
    this.chartPlace.hidden = nothing;
    this.waiting.hidden = !nothing;
    if (nothing) {
      setText(this.waiting, series.error ?? (this.#target.kind === "push" ? "Waiting for the first sample it sends." : "Waiting for its first check."));
      return;
    }
    const to = now();
    this.#chart.draw({
      points: series.points, from: to - SPAN_MS, to, gapMs: gapAfter(this.#target.every_s, series.stepMs),
      markers: markersOf(alerts, parseTime), note: series.error ?? (series.loading ? "loading…" : "no data in the last hour"),
    });
  }

  /** The card leaves the page. */
  dispose() {
    if (this.#chart) unwatchWidth(this.#chart);
    this.element.remove();
  }
}

/** The rules that hold, in words. */
function ruleWords(rules) {
  return rules.length ? `${rules.length === 1 ? "rule holds" : "rules hold"}: ${rules.join(", ")}` : "";
}

/** A label as a tag. */
export function tag(key, value) {
  return h("span", { class: "tag", title: `${key}: ${value}` }, h("span", { class: "tag-key", text: `${key} ` }), value);
}

/** A labelled bar with a method `set(bar)`. */
export function barRow() {
  const name = h("span", { class: "bar-name" });
  const text = h("span", { class: "bar-text" });
  const fill = h("span", { class: "bar-fill" });
  const meter = h("span", { class: "bar-track", role: "meter", "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
  const word = h("span", { class: "bar-word" });
  const row = h("div", { class: "bar" }, name, meter, h("span", {}, text, " ", word));
  row.set = (bar) => {
    setText(name, bar.label);
    const share = Math.max(0, Math.min(100, bar.value));
    fill.style.width = `${share.toFixed(1)}%`;
    meter.setAttribute("aria-valuenow", share.toFixed(1));
    meter.setAttribute("aria-label", bar.label);
    row.dataset.level = level(bar.value);
    setText(text, bar.text ? `${bar.text} (${percent(bar.value)})` : percent(bar.value));
    setText(word, level(bar.value) === "normal" ? "" : level(bar.value));
  };
  return row;
}
