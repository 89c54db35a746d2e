/** Details of one alert: what it saw, each transition with its reason, and who was told. */

import { acknowledgeForm, canAcknowledge } from "./acknowledge.js";
import { STATE_WORD } from "./alerts.js";
import { api } from "./api.js";
import { timeElement } from "./clock.js";
import { alertIcon, h, safeHref } from "./dom.js";
import { calledBy, clock, condition, duration, number, parseTime, plural, reach, standing, summary } from "./format.js";
import { tag } from "./card.js";

export function alertView(id, { store, acknowledgements, openTarget }) {
  const view = new AlertView(id, store, acknowledgements, openTarget);
  return {
    title: "Alert", body: view.element,
    update: ({ alert, reload }) => (reload || alert?.id === id) && view.load(),
    dispose: () => (view.gone = true),
  };
}

class AlertView {
  constructor(id, store, acknowledgements, openTarget) {
    Object.assign(this, { id, store, acknowledgements, openTarget, gone: false, asked: 0 });
    this.head = h("div");
    this.actions = h("div", { class: "sheet-actions" });
    this.rest = h("div");
    this.element = h("div", { class: "alert-view" }, this.head, this.actions, this.rest);
    const known = store.alerts.get(id);
    if (known) this.#show(known);
    else this.head.replaceChildren(h("p", { class: "quiet-text", text: "Loading…" }));
    this.load();
  }

  async load() {
    const asked = ++this.asked;
    try {
      const { alert, transitions, notifications } = await api.alert(this.id);
      if (this.gone || asked !== this.asked) return;
      this.#show(alert);
      this.rest.replaceChildren(
        h("h3", { text: "What happened" }), h("ol", { class: "timeline" }, transitions.map((step) => transition(step, this.store.alerts))),
        h("h3", { text: "Who was told" }), told(notifications));
    } catch (error) {
      if (this.gone) return;
      this.rest.replaceChildren(h("p", { class: "sheet-problem", role: "alert" }, `The details cannot be shown: ${error.message}. `,
        h("button", { type: "button", class: "link", text: "Try again", on: { click: () => this.load() } })));
    }
  }

  #show(alert) {
    const seen = condition(alert);
    const said = standing(alert, this.store.alerts);
    const runbook = safeHref(alert.annotations?.runbook_url ?? "");
    const others = Object.entries(alert.labels ?? {}).filter(([key]) => !["target", "kind"].includes(key));
    this.head.replaceChildren(
      h("p", { class: "sheet-status", data: { severity: alert.severity, state: alert.state } }, h("span", { class: "alert-mark" }, alertIcon(alert)),
        h("strong", { text: summary(alert) })),
      h("p", { class: "card-labels" }, h("span", { class: "pill", text: alert.severity, data: { severity: alert.severity } }),
        h("span", { class: "pill pill-state", text: STATE_WORD[alert.state] ?? alert.state }), others.map(([key, value]) => tag(key, value))),
      ...(said ? [h("p", { class: "alert-comment", text: said })] : []),
      ...(alert.annotations?.description ? [h("p", { class: "alert-description", text: alert.annotations.description })] : []),
      h("dl", { class: "facts" }, [
        ["Target", h("button", { type: "button", class: "link", text: alert.target, on: { click: () => this.openTarget(alert.target) } })],
        ["Rule", alert.rule],
        ["Saw", seen ? `${seen.label} ${seen.value}` : "–"],
        ["Alerts at", seen?.limit || "–"],
        ["Began", timeElement(alert.began)],
        alert.resolved ? ["Lasted", duration(parseTime(alert.resolved) - parseTime(alert.began))] : ["Since", timeElement(alert.fired ?? alert.began, "for")],
        reach(alert) && [alert.annotations?.takes_down ? "Takes down" : "Holds for", alert.annotations?.takes_down ?? `${reach(alert)}: ${(alert.members ?? []).join(", ")}`],
        alert.conditions?.length > 1 && ["Conditions", h("ul", {}, alert.conditions.map(seenCondition))],
        runbook && ["Runbook", h("a", { href: runbook, target: "_blank", rel: "noopener noreferrer", text: runbook })],
      ].filter(Boolean).map(([name, value]) => h("div", { class: WIDE.has(name) ? "is-wide" : null }, h("dt", { text: name }), h("dd", {}, value)))));
    this.#act(alert);
  }

  #act(alert) {
    if (this.actions.querySelector("form") && canAcknowledge(alert)) return; // someone is typing
    const pending = this.acknowledgements.of(this.id);
    const busy = pending?.state === "sending" || pending?.state === "sent";
    this.actions.replaceChildren(
      ...(canAcknowledge(alert) && !busy ? [h("button", { type: "button", class: "button primary", text: "Acknowledge", on: { click: () => this.#ask(alert) } })] : []),
      ...(pending ? [h("p", { class: "alert-problem", role: "alert", data: { kind: pending.state }, text: pending.message })] : []));
  }

  #ask(alert) {
    const back = () => {
      this.actions.replaceChildren();
      this.#act(this.store.alerts.get(this.id) ?? alert);
    };
    const form = acknowledgeForm({
      onSend: async (what) => {
        const sent = this.acknowledgements.send(this.id, what);
        back();
        await sent;
        if (!this.gone) {
          back();
          this.load();
        }
      },
      onCancel: back,
    });
    this.actions.replaceChildren(form);
    form.begin();
  }
}

const WIDE = new Set(["Runbook", "Takes down", "Holds for", "Conditions"]);
const HOLDS = new Map([[true, "holds"], [false, "does not hold"]]);

function seenCondition({ text, value, holds }) {
  return h("li", { text: `${text}: ${value === null ? "no value" : number(value)}, ${HOLDS.get(holds) ?? "not known"}` });
}

function transition(step, alerts) {
  const who = step.actor && step.actor !== "probestream" ? `by ${step.actor}` : "";
  return h("li", { data: { state: step.state } },
    h("strong", { text: STATE_WORD[step.state] ?? step.state }),
    h("span", { text: [who, step.words, step.by && `by ${calledBy(step.by, alerts)}`].filter(Boolean).join(" · ") }),
    h("small", {}, clock(parseTime(step.at), true), " · ", timeElement(step.at)),
    step.comment ? h("q", { text: step.comment }) : null);
}

const OUTCOME = { intent: "is being sent", delivered: "delivered", failed: "failed, will try again", given_up: "given up" };

function told(notifications) {
  // One line a receiver and transition: its latest step.
  const latest = new Map();
  for (const step of notifications) latest.set(`${step.number}/${step.receiver}/${step.channel}/${step.integration}`, step);
  if (!latest.size) return h("p", { class: "quiet-text", text: "No one so far." });
  return h("ul", { class: "told" }, [...latest.values()].map((step) => h("li", { data: { outcome: step.outcome } },
    h("strong", { text: `${step.receiver} by ${step.channel}` }),
    h("span", { text: `${STATE_WORD[step.state] ?? step.state}: ${OUTCOME[step.outcome] ?? step.outcome.replace(/_/g, " ")}${step.attempt > 1 ? ` after ${plural(step.attempt, "attempt")}` : ""}` }),
    h("small", {}, timeElement(step.at), step.error ? ` · ${step.error}` : ""))));
}
