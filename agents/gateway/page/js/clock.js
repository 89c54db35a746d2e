/** The gateway's time, and relative times that tick. */

import { ago, duration, full, parseTime } from "./format.js";
import { h, setText } from "./dom.js";

let offset = 0;

/** Now by the gateway's clock: a browser's own may be wrong by minutes, and "in 3 min" is no time for an alert. */
export function now() {
  return Date.now() + offset;
}

/** Learn the offset from a message's own time. */
export function adjust(text) {
  const at = parseTime(text);
  if (at !== null) offset = at - Date.now();
}

/** A <time> that keeps itself right: `mode` is "ago" ("3 min ago") or "for" ("3 min"). */
export function timeElement(text, mode = "ago") {
  const element = h("time", { data: { tick: mode } });
  setTime(element, text);
  return element;
}

/** Give it another time. */
export function setTime(element, text) {
  if (element.getAttribute("datetime") !== (text ?? "")) {
    element.setAttribute("datetime", text ?? "");
    element.title = full(parseTime(text));
  }
  show(element);
}

function show(element) {
  const at = parseTime(element.getAttribute("datetime"));
  const text = element.dataset.tick === "for" ? (at === null ? "" : duration(now() - at)) : ago(at, now());
  setText(element, text);
}

/** Let every <time> on the page tick, and call `each` with it. */
export function startClock(each) {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time[data-tick]")) show(element);
    each();
  }, 1000);
}
