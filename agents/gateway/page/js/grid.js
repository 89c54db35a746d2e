/** The grid of cards: hundreds of them stay smooth, because only those in sight are drawn, and only when they changed. */

import { Card } from "./card.js";
import { arrange, h } from "./dom.js";
import { mainMetric } from "./metrics.js";
import { STATUSES, statusOf } from "./store.js";

const CHIP_WORD = { all: "All", unhealthy: "Unhealthy", degraded: "Degraded", unknown: "Not checked", healthy: "Healthy" };
const REDRAW_MS = 15_000; // the time axis moves on even where nothing changes

export class Grid {
  #cards = new Map();
  #visible = new Set();
  #dirty = new Set();
  #scheduled = false;
  #order = true;
  #status = "all";
  #text = "";

  constructor({ store, series, onOpen }) {
    this.store = store;
    this.series = series;
    this.place = document.getElementById("grid");
    this.notice = document.getElementById("notice");
    this.filters = document.getElementById("filters");
    this.place.addEventListener("click", (event) => {
      const card = event.target.closest(".card[data-target]");
      if (card && !getSelection().toString()) onOpen(card.dataset.target);
    });
    this.observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "150px" });
    this.#makeFilters();
    store.on("targets", ({ names, all }) => this.#changed(names, all));
    store.on("alerts", () => this.redraw());
    setInterval(() => !document.hidden && this.redraw(), REDRAW_MS);
  }

  /** Draw what is in sight again. */
  redraw() {
    for (const name of this.#visible) this.#dirty.add(name);
    this.#schedule();
  }

  /** The points of `name` changed. */
  redrawOne(name) {
    this.#dirty.add(name);
    this.#schedule();
  }

  #makeFilters() {
    this.chips = new Map(["all", ...STATUSES].map((status) => {
      const count = h("span", { class: "chip-count" });
      const chip = h("button", {
        type: "button", class: "chip", "aria-pressed": String(status === "all"), data: { status },
        on: { click: () => this.#filter(status, this.#text) },
      }, CHIP_WORD[status], " ", count);
      chip.count = count;
      return [status, chip];
    }));
    document.getElementById("status-chips").append(...this.chips.values());
    this.input = document.getElementById("filter");
    this.input.addEventListener("input", () => this.#filter(this.#status, this.input.value.trim().toLowerCase()));
  }

  #filter(status, text) {
    this.#status = status;
    this.#text = text;
    for (const [name, chip] of this.chips) chip.setAttribute("aria-pressed", String(name === status));
    this.#order = true;
    this.#schedule();
  }

  #matches(target) {
    if (this.#status !== "all" && statusOf(target) !== this.#status) return false;
    if (!this.#text) return true;
    const text = [target.name, target.kind, ...Object.entries(target.labels ?? {}).map(([k, v]) => `${k}=${v} ${k}:${v}`)].join("\n").toLowerCase();
    return this.#text.split(/\s+/).every((word) => text.includes(word));
  }

  #changed(names, all) {
    for (const name of names) {
      const target = this.store.targets.get(name);
      const card = this.#cards.get(name);
      if (!card || statusOf(card.target) !== statusOf(target)) this.#order = true;
      if (!all) this.series.append(target, mainMetric(target)); // a snapshot's check is in what is fetched
      this.#dirty.add(name);
    }
    this.#order ||= all;
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#render();
    });
  }

  #render() {
    if (this.#order) this.#arrange();
    for (const name of this.#dirty) {
      const card = this.#cards.get(name);
      const target = this.store.targets.get(name);
      if (!card || !target) continue;
      if (card.target !== target) card.update(target);
      if (this.#visible.has(name)) this.#draw(name, card);
    }
    this.#dirty.clear();
  }

  #draw(name, card) {
    this.series.want(name, mainMetric(card.target));
    card.draw(this.series.get(name), this.store.ofTarget(name));
  }

  #arrange() {
    this.#order = false;
    for (const [name, card] of this.#cards) {
      if (this.store.targets.has(name)) continue;
      this.observer.unobserve(card.element);
      card.dispose();
      this.#cards.delete(name);
      this.#visible.delete(name);
    }
    const shown = this.store.sorted().filter((target) => this.#matches(target));
    arrange(this.place, shown.map((target) => this.#card(target).element));
    this.place.setAttribute("aria-busy", "false");
    this.#count(shown.length);
  }

  #card(target) {
    let card = this.#cards.get(target.name);
    if (!card) {
      card = new Card(target);
      this.#cards.set(target.name, card);
      this.observer.observe(card.element);
    }
    return card;
  }

  #count(shown) {
    const counts = this.store.counts();
    const all = this.store.targets.size;
    for (const [status, chip] of this.chips) {
      const count = status === "all" ? all : counts[status];
      chip.count.textContent = count;
      chip.hidden = status !== "all" && !count && this.#status !== status;
    }
    this.filters.hidden = all === 0;
    if (all === 0) this.notice.replaceChildren(emptyState());
    else if (shown === 0) this.notice.replaceChildren(this.#nothingMatches());
    else this.notice.replaceChildren();
  }

  #nothingMatches() {
    const clear = () => {
      this.input.value = "";
      this.#filter("all", "");
      this.input.focus();
    };
    return h("div", { class: "notice" }, h("p", { text: "No target matches." }),
      h("button", { type: "button", class: "button", text: "Show all", on: { click: clear } }));
  }

  #seen(entries) {
    for (const { target: element, isIntersecting } of entries) {
      const name = element.dataset.target;
      if (isIntersecting) {
        this.#visible.add(name);
        this.#dirty.add(name);
      } else {
        this.#visible.delete(name);
        this.series.unwant(name);
      }
    }
    this.#schedule();
  }
}

/** Placeholders until the first answer. */
export function showSkeleton(place, count = 6) {
  place.replaceChildren(...Array.from({ length: count }, () =>
    h("li", { class: "card skeleton", "aria-hidden": "true" }, h("i"), h("i"), h("i"), h("i"))));
}

const EXAMPLE = `targets:
  - name: shop
    every: 30s
    http:
      url: https://shop.example/health
      conditions: ["[STATUS] == 200", "[RESPONSE_TIME] < 300"]`;

function emptyState() {
  return h("div", { class: "notice" },
    h("h3", { text: "Nothing is watched yet" }),
    h("p", {}, "Add a target to ", h("code", { text: "probestream.yaml" }), " and start again. It appears here with its first check."),
    h("pre", {}, h("code", { text: EXAMPLE })));
}
