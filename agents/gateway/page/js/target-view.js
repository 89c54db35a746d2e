/** Details of one target: figures, charts over a span of one's choice, its metrics and its alerts. */

import { api } from "./api.js";
import { barRow, STATUS_WORD, tag } from "./card.js";
import { Chart, unwatchWidth, watchWidth } from "./chart.js";
import { now, setTime, timeElement } from "./clock.js";
import { alertIcon, h, icon, setText } from "./dom.js";
import { duration, latency, metricValue, parseTime, plural, share, summary } from "./format.js";
import { checkOutcome } from "./header.js";
import { lanesFor, markersOf } from "./lanes.js";
import { bars, mainMetric } from "./metrics.js";
import { appendCheck, gapAfter, parsePoints } from "./series.js";
import { STATE_WORD } from "./alerts.js";
import { statusOf } from "./store.js";

const SPANS = [[60, "1 h"], [360, "6 h"], [1440, "24 h"], [10_080, "7 d"], [43_200, "30 d"]];
const ALERTS_SHOWN = 20;

export function targetView(name, { store, say, openAlert }) {
  const view = new TargetView(name, store, say, openAlert);
  return {
    title: name, body: view.element,
    update: (change) => view.update(change),
    dispose: () => view.dispose(),
  };
}

class TargetView {
  #minutes = 60;
  #points = [];
  #step = 10_000;
  #alerts = [];
  #uptime = null;
  #gone = false;
  #lastCheck = null;
  #asked = 0;

  constructor(name, store, say, openAlert) {
    Object.assign(this, { name, store, say, openAlert });
    this.status = h("p", { class: "sheet-status" });
    this.tags = h("p", { class: "card-labels" });
    this.message = h("p", { class: "card-message", hidden: true });
    this.facts = h("dl", { class: "facts" });
    this.bars = h("div", { class: "bars" });
    this.chartPlace = h("div", { class: "sheet-chart" });
    this.problem = h("p", { class: "sheet-problem", role: "alert", hidden: true });
    this.history = h("ul", { class: "history" });
    this.check = h("button", { type: "button", class: "button", text: "Check now", on: { click: () => this.#check() } });
    this.spans = h("div", { class: "chips", role: "group", "aria-label": "Time span" }, SPANS.map(([minutes, word]) =>
      h("button", { type: "button", class: "chip", text: word, data: { minutes }, "aria-pressed": String(minutes === 60), on: { click: () => this.#span(minutes) } })));
    this.element = h("div", {}, h("div", { class: "sheet-top" }, this.status, this.check), this.tags, this.message,
      h("div", { class: "sheet-row" }, h("h3", { text: "Over time" }), this.spans), this.chartPlace, this.problem,
      h("h3", { text: "Figures" }), this.facts, this.bars, h("h3", { text: "Alerts" }), this.history);
    this.#show();
    this.#load();
    this.timer = setInterval(() => this.#draw(), 5000);
  }

  dispose() {
    this.#gone = true;
    clearInterval(this.timer);
    if (this.chart) unwatchWidth(this.chart);
  }

  update({ names, live, alert, reload }) {
    if (reload) this.#load();
    const target = this.store.targets.get(this.name);
    if (names?.includes(this.name) && target) {
      const at = parseTime(target.last_check);
      if (live && at !== null && target.last_check !== this.#lastCheck && this.#minutes === 60) {
        this.#lastCheck = target.last_check;
        const metric = mainMetric(target);
        appendCheck(this.#points, { at, ok: target.ok, value: metric ? target.metrics[metric] : target.latency_ms }, this.#step, 3_600_000);
      }
      this.#show();
      this.#draw();
    }
    if (alert?.target === this.name) this.#loadAlerts();
  }

  async #load() {
    this.#loadAlerts();
    const asked = ++this.#asked;
    const minutes = this.#minutes;
    const target = this.store.targets.get(this.name);
    const metric = target ? mainMetric(target) : "";
    const [series, uptime] = await Promise.allSettled([
      api.series(this.name, minutes, null, metric),
      api.uptime(this.name, Math.max(1, minutes / 60)),
    ]);
    if (this.#gone || asked !== this.#asked) return;
    const failed = series.status === "rejected";
    this.#points = failed ? [] : parsePoints(series.value, metric);
    if (!failed) this.#step = 1000 * series.value.step_s;
    this.#uptime = uptime.status === "fulfilled" ? uptime.value.uptime : null;
    this.problem.hidden = !failed;
    this.problem.replaceChildren(...(failed ? [`No data: ${series.reason.message}. `,
      h("button", { type: "button", class: "link", text: "Try again", on: { click: () => this.#load() } })] : []));
    this.#show();
    this.#draw();
  }

  async #loadAlerts() {
    try {
      const { alerts } = await api.alerts({ target: this.name, limit: ALERTS_SHOWN });
      if (this.#gone) return;
      this.#alerts = alerts.filter((alert) => alert.fired);
      this.#history();
      this.#draw();
    } catch (error) {
      this.history.replaceChildren(h("li", { class: "quiet-text", text: `The alerts cannot be shown: ${error.message}.` }));
    }
  }

  #span(minutes) {
    this.#minutes = minutes;
    for (const chip of this.spans.children) chip.setAttribute("aria-pressed", String(Number(chip.dataset.minutes) === minutes));
    this.#load();
  }

  #show() {
    const target = this.store.targets.get(this.name);
    if (!target) {
      this.status.replaceChildren(icon("unknown"), "This target is not watched (any more).");
      this.check.hidden = true;
      return;
    }
    const status = statusOf(target);
    if (this.status.dataset.key !== `${status}${target.since}`) {
      this.status.dataset.key = `${status}${target.since}`;
      this.status.dataset.status = status;
      this.status.replaceChildren(icon(status), h("strong", { text: STATUS_WORD[status] }), target.since ? h("span", {}, " for ", timeElement(target.since, "for")) : "");
    }
    this.check.hidden = target.kind === "push";
    this.tags.replaceChildren(h("span", { class: "tag tag-kind", text: target.kind }),
      ...Object.entries(target.labels ?? {}).filter(([key]) => !["kind", "target"].includes(key)).map(([key, value]) => tag(key, value)));
    const message = status === "healthy" ? "" : target.message;
    setText(this.message, message ?? "");
    this.message.hidden = !message;
    this.#facts(target);
    const found = bars(target);
    this.bars.replaceChildren(...found.map((bar) => {
      const row = barRow();
      row.set(bar);
      return row;
    }));
  }

  #facts(target) {
    const span = SPANS.find(([minutes]) => minutes === this.#minutes)[1];
    const checked = timeElement(target.last_check);
    setTime(checked, target.last_check);
    const facts = [
      ["Last check", checked],
      ["Checked every", target.every_s ? duration(1000 * target.every_s) : "by itself"],
      ["Latency now", latency(target.latency_ms)],
      ["Mean, 5 min", latency(target.latency_mean_ms)],
      ["Usual (baseline)", latency(target.baseline_ms)],
      ["Error rate, 5 min", share(target.error_rate)],
      ["Uptime, 1 h", `${share(target.uptime_1h)}${target.count_1h ? ` of ${plural(target.count_1h, "check")}` : ""}`],
      [`Uptime, ${span}`, share(this.#uptime)],
      ["Failures in a row", String(target.consecutive_failures ?? 0)],
      ["Answered", target.code || "–"],
      ["Rules that hold", (target.rules ?? []).join(", ") || "none"],
      ...Object.entries(target.metrics ?? {}).filter(([name]) => !/percent$/i.test(name)).map(([name, value]) => [name, metricValue(name, value)]),
    ];
    if (this.#minutes === 60) facts.splice(7, 1);
    this.facts.replaceChildren(...facts.map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", {}, value))));
  }

  #draw() {
    const target = this.store.targets.get(this.name);
    if (!target) return;
    const metric = mainMetric(target);
    if (!this.chart || this.metric !== metric) {
      if (this.chart) {
        unwatchWidth(this.chart);
        this.#points = []; // of latencies: before its first check a target has no metrics
        this.#load();
      }
      this.metric = metric;
      this.chart = new Chart({ lanes: lanesFor(metric, { tall: true }), label: `${this.name} over time; use the arrow keys to read values`, keys: true });
      this.chartPlace.replaceChildren(this.chart.element);
      watchWidth(this.chart);
    }
    const to = now();
    this.chart.draw({
      points: this.#points, from: to - this.#minutes * 60_000, to, gapMs: gapAfter(target.every_s, this.#step),
      markers: markersOf(this.#alerts, parseTime), note: "No data in this span",
      guide: metric || !target.baseline_ms ? null : { lane: "latency", value: target.baseline_ms, text: `usual ${latency(target.baseline_ms)}` },
    });
  }

  #history() {
    if (!this.#alerts.length) {
      this.history.replaceChildren(h("li", { class: "quiet-text", text: "No alerts so far." }));
      return;
    }
    this.history.replaceChildren(...this.#alerts.map((alert) => {
      const lasted = alert.resolved ? ` after ${duration(parseTime(alert.resolved) - parseTime(alert.fired))}` : "";
      return h("li", { data: { severity: alert.severity, state: alert.state } },
        h("button", { type: "button", on: { click: () => this.openAlert(alert.id) } }, h("span", { class: "alert-mark" }, alertIcon(alert)),
          h("span", { class: "bell-text" }, h("strong", { text: summary(alert) }),
            h("small", {}, `${alert.severity} · ${alert.rule} · ${STATE_WORD[alert.state] ?? alert.state}${lasted} · fired `, timeElement(alert.fired)))));
    }));
  }

  async #check() {
    this.check.disabled = true;
    this.check.setAttribute("aria-busy", "true");
    try {
      this.say(checkOutcome(await api.check({ targets: [this.name] })));
    } catch (error) {
      this.say(`The check failed: ${error.message}.`, "error");
    }
    this.check.disabled = false;
    this.check.removeAttribute("aria-busy");
  }
}
