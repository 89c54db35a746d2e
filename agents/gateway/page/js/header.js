/** The head of the page: overall state, live mark, the banner while disconnected, the refresh button. */

import { api } from "./api.js";
import { h, icon, setText } from "./dom.js";
import { clock, duration, plural } from "./format.js";

const LIVE_WORD = { live: "Live", connecting: "Connecting", down: "Disconnected" };
const PATIENCE_MS = 1500; // a reconnect that succeeds sooner is no news

/** The state of everything in a few words: {state, words}. */
export function overall(counts, activeAlerts) {
  const total = Object.values(counts).reduce((a, b) => a + b, 0);
  if (!total) return { state: "unknown", words: "Nothing watched yet" };
  if (counts.unhealthy) return { state: "unhealthy", words: `${plural(counts.unhealthy, "target")} unhealthy` };
  if (counts.degraded) return { state: "degraded", words: `${plural(counts.degraded, "target")} degraded` };
  if (activeAlerts) return { state: "degraded", words: plural(activeAlerts, "active alert") };
  if (counts.unknown === total) return { state: "unknown", words: "Waiting for the first checks" };
  if (counts.unknown) return { state: "healthy", words: `All checked systems healthy, ${counts.unknown} not checked yet` };
  return { state: "healthy", words: "All systems healthy" };
}

export class Header {
  #live = { state: "connecting", since: null };

  constructor({ store, onRetry, say }) {
    this.store = store;
    this.onRetry = onRetry;
    this.say = say;
    this.overall = document.getElementById("overall");
    this.live = document.getElementById("live");
    this.banner = document.getElementById("banner");
    this.refresh = document.getElementById("refresh");
    this.refresh.append(icon("refresh"));
    this.refresh.addEventListener("click", () => this.#check());
    this.live.addEventListener("click", () => onRetry());
    this.bannerText = h("span");
    this.banner.append(icon("degraded"), this.bannerText, h("button", { type: "button", class: "link", text: "Try now", on: { click: onRetry } }));
    for (const kind of ["targets", "alerts", "unread"]) store.on(kind, () => this.#overall());
  }

  #overall() {
    const { state, words } = overall(this.store.counts(), this.store.active().length);
    if (this.overall.dataset.state !== state || this.overall.dataset.words !== words) {
      Object.assign(this.overall.dataset, { state, words });
      this.overall.replaceChildren(icon(state), h("span", { text: words }));
    }
    const unread = this.store.unread.size;
    document.title = `${unread ? `(${unread}) ` : ""}${state === "healthy" ? "" : `${words} · `}Probestream`;
    const mark = unread || state === "unhealthy" ? "img/mark-alert.svg" : "img/mark.svg";
    const link = document.getElementById("favicon");
    if (link.getAttribute("href") !== mark) link.setAttribute("href", mark);
  }

  /** A state of the live connection, as Live tells it. */
  connection(live) {
    this.#live = { ...live, since: live.since ?? null };
    this.live.dataset.state = live.state === "connecting" && live.since ? "down" : live.state;
    this.tick();
  }

  /** Once a second: the countdown of the banner. */
  tick() {
    const { state, since, retryAt, reason } = this.#live;
    const shown = this.live.dataset.state;
    setText(this.live.querySelector(".live-word"), LIVE_WORD[shown]);
    this.live.title = shown === "live" ? "Connected: changes appear as they happen" : "Not connected. Click to try now";
    const away = since !== null && Date.now() - since > PATIENCE_MS;
    this.banner.hidden = !away;
    if (!away) return;
    const next = state === "connecting" ? "Trying now…" : `Next try in ${duration(retryAt - Date.now() + 999)}.`;
    setText(this.bannerText, `Connection lost at ${clock(since, true)}${reason ? ` (${reason})` : ""}. What is shown may be out of date. ${next} `);
  }

  async #check() {
    if (this.refresh.getAttribute("aria-busy") === "true") return;
    this.refresh.setAttribute("aria-busy", "true");
    try {
      const answer = await api.check({});
      this.say(checkOutcome(answer));
    } catch (error) {
      this.say(`The check failed: ${error.message}.`, "error");
    } finally {
      this.refresh.removeAttribute("aria-busy");
    }
  }
}

/** What a check on demand came to, in a sentence. */
export function checkOutcome({ checked, missing, not_checkable: pushed = [] }) {
  const parts = [`Checked ${plural(checked.length, "target")}.`];
  if (missing.length) parts.push(`No answer in time from ${missing.slice(0, 3).join(", ")}${missing.length > 3 ? ` and ${missing.length - 3} more` : ""}.`);
  if (!checked.length && !missing.length && pushed.length) return "Nothing to check: these targets send their own samples.";
  return parts.join(" ");
}
