/** The bell: how many alerts are unread, and the last ten when opened. */

import { setTime, timeElement } from "./clock.js";
import { alertIcon, arrange, h, icon, setText } from "./dom.js";
import { summary } from "./format.js";
import { STATE_WORD } from "./alerts.js";

const SHOWN = 10;

export class Bell {
  #rows = new Map();
  #fresh = new Set(); // unread when the panel was opened: still marked while it is open

  constructor({ store, onOpen }) {
    this.store = store;
    this.onOpen = onOpen;
    this.button = document.getElementById("bell");
    this.panel = document.getElementById("bell-panel");
    this.badge = h("span", { class: "badge", hidden: true, "aria-hidden": "true" });
    this.button.append(icon("bell"), this.badge);
    this.list = h("ul", { class: "bell-list" });
    this.empty = h("p", { class: "bell-empty", text: "No alerts. All is quiet." });
    this.panel.append(h("h2", { text: "Latest alerts" }), this.empty, this.list);
    this.button.addEventListener("click", () => this.toggle(this.panel.hidden));
    document.addEventListener("click", (event) => {
      if (!this.panel.hidden && !event.target.closest(".bell-place")) this.toggle(false);
    });
    this.panel.parentElement.addEventListener("keydown", (event) => this.#key(event));
    store.on("alerts", () => this.#render());
    store.on("unread", () => this.#count());
    store.on("fired", (alert) => {
      if (this.panel.hidden) return;
      this.#fresh.add(alert.id); // seen as it comes
      this.store.readAll();
    });
    this.#count();
  }

  toggle(open) {
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    this.#fresh = new Set(this.store.unread);
    this.#render();
    this.store.readAll();
  }

  #key(event) {
    if (event.key === "Escape" && !this.panel.hidden) {
      this.toggle(false);
      this.button.focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || this.panel.hidden) return;
    event.preventDefault();
    const rows = [...this.list.querySelectorAll("button")];
    const at = rows.indexOf(document.activeElement);
    rows[(at + step + rows.length) % rows.length]?.focus();
  }

  #count() {
    const count = this.store.unread.size;
    this.badge.hidden = !count;
    setText(this.badge, count > 99 ? "99+" : String(count));
    this.button.setAttribute("aria-label", count ? `Alerts, ${count} unread` : "Alerts, none unread");
  }

  #render() {
    if (this.panel.hidden) return;
    const latest = this.store.latest(SHOWN);
    this.empty.hidden = latest.length > 0;
    const kept = new Map();
    arrange(this.list, latest.map((alert) => {
      const row = this.#rows.get(alert.id) ?? this.#row(alert.id);
      kept.set(alert.id, row);
      row.set(alert, this.#fresh.has(alert.id));
      return row;
    }));
    this.#rows = kept;
  }

  #row(id) {
    const mark = h("span", { class: "alert-mark" });
    const text = h("strong");
    const facts = h("span");
    const at = timeElement(null);
    const button = h("button", { type: "button", on: { click: () => {
      this.toggle(false);
      this.onOpen(id);
    } } }, mark, h("span", { class: "bell-text" }, text, h("small", {}, facts, at)));
    const row = h("li", { data: { alert: id } }, button);
    row.set = (alert, fresh) => {
      row.dataset.severity = alert.severity;
      row.dataset.state = alert.state;
      row.classList.toggle("is-unread", fresh);
      mark.replaceChildren(alertIcon(alert));
      setText(text, summary(alert));
      setText(facts, `${fresh ? "new · " : ""}${alert.severity} · ${STATE_WORD[alert.state] ?? alert.state} · `);
      setTime(at, alert.at);
    };
    return row;
  }
}

