/** Short words at the edge of the page, and words for screen readers alone. */

import { h } from "./dom.js";
import { plural, summary } from "./format.js";

const SHOWN_MS = 6000;
const GATHER_MS = 800;

/** Say `text` for a few seconds. `kind`: info or error. */
export function say(text, kind = "info") {
  const place = document.getElementById("toasts");
  const toast = h("p", { class: `toast is-${kind}`, text });
  place.append(toast);
  while (place.children.length > 3) place.firstElementChild.remove();
  setTimeout(() => toast.remove(), SHOWN_MS);
}

let gathered = [];

/** Announce an alert politely; a storm of them becomes one sentence. */
export function announce(alert) {
  gathered.push(alert);
  if (gathered.length > 1) return;
  setTimeout(() => {
    const alerts = gathered;
    gathered = [];
    document.getElementById("announcer").textContent = alerts.length > 3
      ? `${plural(alerts.length, "alert")} changed`
      : alerts.map((a) => `${a.state === "resolved" ? "Resolved" : `${a.severity} alert`}: ${summary(a)}`).join(". ");
  }, GATHER_MS);
}
