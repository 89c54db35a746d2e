/** The strip of active alerts. */

import { acknowledgeForm, canAcknowledge } from "./acknowledge.js";
import { setTime, timeElement } from "./clock.js";
import { alertIcon, arrange, h, setText } from "./dom.js";
import { condition, plural, reach, standing, summary } from "./format.js";

const SHOWN = 5;

export const STATE_WORD = {
  pending: "Pending", firing: "Firing", acknowledged: "Acknowledged", snoozed: "Snoozed", suppressed: "Suppressed",
  escalated: "Escalated", flapping: "Flapping", resolved: "Resolved", cancelled: "Cancelled",
};

export class AlertStrip {
  #items = new Map();
  #all = false;

  constructor({ store, acknowledgements, onOpen, onTarget }) {
    this.store = store;
    this.acknowledgements = acknowledgements;
    this.onOpen = onOpen;
    this.onTarget = onTarget;
    this.section = document.getElementById("alerts");
    this.title = document.getElementById("alerts-title");
    this.list = document.getElementById("alert-list");
    this.more = document.getElementById("alerts-more");
    this.more.addEventListener("click", () => {
      this.#all = !this.#all;
      this.render();
    });
    store.on("alerts", () => this.render());
  }

  render() {
    const active = this.store.active();
    this.section.hidden = !active.length;
    setText(this.title, active.length ? `${plural(active.length, "active alert")}` : "Active alerts");
    const shown = this.#all ? active : active.slice(0, SHOWN);
    const kept = new Map();
    arrange(this.list, shown.map((alert) => {
      const item = this.#items.get(alert.id) ?? new AlertItem(this);
      kept.set(alert.id, item);
      item.update(alert, this.acknowledgements.of(alert.id));
      return item.element;
    }));
    this.#items = kept;
    this.more.hidden = active.length <= SHOWN;
    setText(this.more, this.#all ? "Show fewer" : `Show all ${active.length}`);
  }
}

class AlertItem {
  #form = null;

  constructor(strip) {
    this.strip = strip;
    this.mark = h("span", { class: "alert-mark" });
    this.summary = h("button", { type: "button", class: "alert-summary", on: { click: () => strip.onOpen(this.alert.id) } });
    this.severity = h("span", { class: "pill" });
    this.state = h("span", { class: "pill pill-state" });
    this.rule = h("span", { class: "alert-rule" });
    this.target = h("button", { type: "button", class: "link", on: { click: () => strip.onTarget(this.alert.target) } });
    this.since = timeElement(null, "for");
    this.condition = h("span", { class: "alert-condition" });
    this.reach = h("span", { class: "alert-reach" });
    this.comment = h("p", { class: "alert-comment", hidden: true });
    this.problem = h("p", { class: "alert-problem", role: "alert", hidden: true });
    this.acknowledge = h("button", { type: "button", class: "button", text: "Acknowledge", on: { click: () => this.#ask() } });
    this.details = h("button", { type: "button", class: "button quiet", text: "Details", on: { click: () => strip.onOpen(this.alert.id) } });
    this.actions = h("div", { class: "alert-actions" }, this.acknowledge, this.details);
    this.element = h("li", { class: "alert" }, this.mark,
      h("div", { class: "alert-text" },
        h("p", { class: "alert-line" }, this.summary, this.severity, this.state),
        h("p", { class: "alert-facts" }, this.rule, h("span", {}, "on ", this.target), h("span", {}, "for ", this.since), this.condition, this.reach),
        this.comment, this.problem),
      this.actions);
  }

  update(alert, pending) {
    const taken = pending?.state === "sending" || pending?.state === "sent";
    if (this.alert?.severity !== alert.severity) this.mark.replaceChildren(alertIcon(alert));
    this.alert = alert;
    this.element.dataset.alert = alert.id;
    this.element.dataset.severity = alert.severity;
    this.element.dataset.state = taken ? "acknowledged" : alert.state;
    setText(this.summary, summary(alert));
    setText(this.severity, alert.severity);
    setText(this.state, taken ? "Acknowledged…" : STATE_WORD[alert.state] ?? alert.state);
    this.state.hidden = !taken && alert.state === "firing";
    setText(this.rule, alert.rule);
    setText(this.target, alert.target);
    setTime(this.since, alert.fired ?? alert.began);
    const seen = condition(alert);
    setText(this.condition, seen ? `${seen.label} ${seen.value}${seen.limit ? ` (alerts at ${seen.limit})` : ""}` : "");
    setText(this.reach, reach(alert));
    this.reach.hidden = !this.reach.textContent;
    const said = standing(alert, this.strip.store.alerts);
    setText(this.comment, said);
    this.comment.hidden = !said;
    const problem = pending && pending.state !== "sending" ? pending.message : "";
    setText(this.problem, problem);
    this.problem.hidden = !problem;
    this.problem.dataset.kind = pending?.state ?? "";
    this.acknowledge.hidden = !canAcknowledge(alert) || taken;
    this.acknowledge.setAttribute("aria-label", `Acknowledge: ${summary(alert)}`);
    this.details.setAttribute("aria-label", `Details: ${summary(alert)}`);
    if (this.#form && !canAcknowledge(alert)) this.#close();
  }

  #ask() {
    if (this.#form) return;
    this.#form = acknowledgeForm({
      onSend: (what) => {
        this.#close();
        this.details.focus();
        this.strip.acknowledgements.send(this.alert.id, what);
      },
      onCancel: () => {
        this.#close();
        this.acknowledge.focus();
      },
    });
    this.actions.hidden = true;
    this.element.append(this.#form);
    this.#form.begin();
  }

  #close() {
    this.#form?.remove();
    this.#form = null;
    this.actions.hidden = false;
  }
}
