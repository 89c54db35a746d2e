/** The panel at the side: details of a target or an alert. The address says which, so it can be linked and gone back from. */

import { h, icon } from "./dom.js";

/** "#/target/shop" → {kind: "target", id: "shop"}; null for anything else. */
export function parseRoute(hash) {
  const found = /^#\/(target|alert)\/(.+)$/.exec(hash);
  try {
    return found && { kind: found[1], id: decodeURIComponent(found[2]) };
  } catch {
    return null;
  }
}

export class Sheet {
  #view = null;

  /** `views`: kind → (id) → {title, body, dispose?, update?}. */
  constructor(views) {
    this.views = views;
    this.dialog = document.getElementById("sheet");
    this.title = h("h2", { id: "sheet-title" });
    this.body = h("div", { class: "sheet-body" });
    const close = h("button", { type: "button", class: "tool", "aria-label": "Close", title: "Close", on: { click: () => this.dialog.close() } }, icon("close"));
    this.dialog.append(h("div", { class: "sheet-head" }, this.title, close), this.body);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => {
      this.#clear();
      if (parseRoute(location.hash)) history.pushState(null, "", location.pathname + location.search);
    });
    addEventListener("hashchange", () => this.follow());
    addEventListener("popstate", () => this.follow());
  }

  open(kind, id) {
    location.hash = `#/${kind}/${encodeURIComponent(id)}`;
  }

  /** Show what the address says. */
  follow() {
    const route = parseRoute(location.hash);
    if (!route) {
      if (this.dialog.open) this.dialog.close();
      return;
    }
    if (this.#view?.kind === route.kind && this.#view.id === route.id) return;
    this.#clear();
    const view = this.views[route.kind](route.id);
    this.#view = { ...route, ...view };
    this.title.textContent = view.title;
    this.body.replaceChildren(view.body);
    this.body.scrollTop = 0;
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** The data changed: let what is open show it. */
  update(change) {
    this.#view?.update?.(change);
  }

  #clear() {
    this.#view?.dispose?.();
    this.#view = null;
    this.body.replaceChildren();
  }
}
