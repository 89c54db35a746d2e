/** Acknowledging an alert where it stands: a comment if wanted, shown as done at once, taken back where it failed. */

import { api } from "./api.js";
import { h } from "./dom.js";
import { lasting } from "./storage.js";

const NAME = "probestream.actor";

/** States that a person may still take on. */
export function canAcknowledge(alert) {
  return alert.active && alert.state !== "acknowledged";
}

/** What is under way for each alert: id → {state: "sending" | "sent" | "failed", message}. */
export class Acknowledgements {
  #pending = new Map();

  constructor({ store, onChange }) {
    this.store = store;
    this.onChange = onChange;
    store.on("alerts", () => {
      for (const id of this.#pending.keys()) {
        const alert = store.alerts.get(id);
        if (!alert || !canAcknowledge(alert)) this.#pending.delete(id);
      }
    });
  }

  of(id) {
    return this.#pending.get(id) ?? null;
  }

  async send(id, { comment, actor }) {
    lasting.set(NAME, actor);
    this.#set(id, { state: "sending", message: "Acknowledging…" });
    try {
      const answer = await api.acknowledge(id, { ...(comment && { comment }), ...(actor && { actor }) });
      this.store.mergeAlerts([answer.alert]);
      this.#set(id, null);
    } catch (error) {
      await this.#failed(id, error);
    }
  }

  async #failed(id, error) {
    if (error.code === "timeout" && error.status === 504) {
      this.#set(id, { state: "sent", message: "Written; waiting for it to be taken up." });
      return;
    }
    if (error.code === "already_acknowledged" || error.code === "already_resolved") {
      // Someone was faster: show what is true now instead of an error.
      const answer = await api.alert(id).catch(() => null);
      if (answer) {
        this.store.mergeAlerts([answer.alert]);
        this.#set(id, null);
        return;
      }
    }
    this.#set(id, { state: "failed", message: `Not acknowledged: ${error.message}.` });
  }

  #set(id, entry) {
    if (entry) this.#pending.set(id, entry);
    else this.#pending.delete(id);
    this.onChange(id);
  }
}

/** The form: comment, name, send, cancel. `onSend({comment, actor})`, `onCancel()`. */
export function acknowledgeForm({ onSend, onCancel }) {
  const comment = h("input", { type: "text", name: "comment", maxlength: "500", placeholder: "Comment (optional)", "aria-label": "Comment", autocomplete: "off" });
  const actor = h("input", { type: "text", name: "actor", maxlength: "100", placeholder: "Your name", "aria-label": "Your name", autocomplete: "name" });
  actor.value = lasting.get(NAME) ?? "";
  const form = h("form", {
    class: "ack-form",
    on: {
      submit: (event) => {
        event.preventDefault();
        onSend({ comment: comment.value.trim(), actor: actor.value.trim() });
      },
      keydown: (event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        onCancel();
      },
    },
  }, comment, actor,
  h("button", { type: "submit", class: "button primary", text: "Acknowledge" }),
  h("button", { type: "button", class: "button", text: "Cancel", on: { click: onCancel } }));
  form.begin = () => comment.focus();
  return form;
}
