/** The dashboard: fetches a snapshot, follows the live stream, and hands both to the parts of the page. */

import { Acknowledgements } from "./acknowledge.js";
import { alertView } from "./alert-view.js";
import { AlertStrip } from "./alerts.js";
import { api, setToken, token } from "./api.js";
import { Bell } from "./bell.js";
import { adjust, startClock } from "./clock.js";
import { h, icon } from "./dom.js";
import { Grid, showSkeleton } from "./grid.js";
import { Header } from "./header.js";
import { Live } from "./live.js";
import { login } from "./login.js";
import { SeriesCache } from "./series.js";
import { Sheet } from "./sheet.js";
import { lasting } from "./storage.js";
import { Store } from "./store.js";
import { targetView } from "./target-view.js";
import { announce, say } from "./toast.js";

const READ = "probestream.readUpTo";
const ALERTS_AT_ONCE = 200;
const AGAIN_MS = 5000;

const stored = lasting.get(READ);
const store = new Store({ readUpTo: stored === null ? null : Number(stored), remember: (at) => lasting.set(READ, String(at)) });
const series = new SeriesCache({ onChange: (name) => grid.redrawOne(name) });
const acknowledgements = new Acknowledgements({ store, onChange: () => strip.render() });
const grid = new Grid({ store, series, onOpen: (name) => sheet.open("target", name) });
const strip = new AlertStrip({ store, acknowledgements, onOpen: (id) => sheet.open("alert", id), onTarget: (name) => sheet.open("target", name) });
const live = new Live({ onMessage: take, onState: (state) => header.connection(state), beforeRetry });
const header = new Header({ store, say, onRetry: () => live.retry() });
new Bell({ store, onOpen: (id) => sheet.open("alert", id) });
const sheet = new Sheet({
  target: (name) => targetView(name, { store, say, openAlert: (id) => sheet.open("alert", id) }),
  alert: (id) => alertView(id, { store, acknowledgements, openTarget: (name) => sheet.open("target", name) }),
});

let connectedBefore = false;
let soon = null;

/** Targets, active and latest alerts by REST. */
async function snapshot() {
  const mark = store.mark();
  const [targets, active, latest] = await Promise.all([api.targets(), everyActive(), api.alerts({ limit: 50 })]);
  store.replaceTargets(targets.targets, mark);
  store.replaceAlerts(active, latest.alerts, mark);
}

/** Targets alone: a gateway that restarted may have others. */
async function targetsAgain() {
  const mark = store.mark();
  store.replaceTargets((await api.targets()).targets, mark);
}

async function everyActive() {
  const found = [];
  for (let cursor = ""; cursor !== null;) {
    const page = await api.alerts({ state: "active", limit: ALERTS_AT_ONCE, ...(cursor && { cursor }) });
    found.push(...page.alerts);
    cursor = page.next_cursor ?? null;
  }
  return found;
}

function take(message) {
  if (message.type === "connection") {
    adjust(message.time);
    connected(message.resumed);
  } else if (message.type === "history") {
    store.mergeAlerts(message.alerts);
  } else if (message.type === "health_update") {
    adjust(message.time);
    store.updateTargets(message.targets);
  } else if (message.type === "health_alert") {
    adjust(message.time);
    store.liveAlert(message.alert);
  } else if (message.type === "shutdown") {
    say("The gateway is stopping; this page comes back by itself.");
  }
}

/** Connected (again). What was missed comes by the stream where it resumed; the lines of the charts never do. */
async function connected(resumed) {
  if (connectedBefore) {
    series.invalidate();
    grid.redraw();
  }
  connectedBefore = true;
  await (resumed ? targetsAgain() : snapshot()).catch((error) => say(`The latest state could not be fetched: ${error.message}.`, "error"));
  sheet.update({ reload: true });
}

/** Whether to try the live connection again; where it stays away although REST works, look at least now and then. */
async function beforeRetry(failures) {
  try {
    if (failures > 3) await snapshot();
    else if (token()) await api.alerts({ limit: 1 });
  } catch (error) {
    if (error.status === 401) {
      start();
      return false;
    }
  }
  return true;
}

store.on("targets", ({ names, all }) => sheet.update({ names, live: !all }));
store.on("alerts", ({ alert }) => alert && sheet.update({ alert }));
store.on("fired", announce);

/** First look: sign in if asked to, show what is there, then go live. */
async function start() {
  clearTimeout(soon);
  live.stop();
  for (;;) {
    try {
      await snapshot();
      break;
    } catch (error) {
      if (error.status === 401) await login();
      else return failed(error);
    }
  }
  document.getElementById("sign-out").hidden = !token();
  live.start();
  sheet.follow();
}

function failed(error) {
  clearTimeout(soon);
  soon = setTimeout(start, AGAIN_MS); // it may only be booting
  const place = document.getElementById("notice");
  if (place.dataset.problem === error.message && place.children.length) return; // said already
  place.dataset.problem = error.message;
  const again = () => {
    place.replaceChildren();
    showSkeleton(document.getElementById("grid"));
    start();
  };
  document.getElementById("grid").replaceChildren();
  document.getElementById("overall").replaceChildren(icon("unknown"), "State not known");
  header.connection({ state: "down", since: null });
  place.replaceChildren(h("div", { class: "notice is-error", role: "alert" },
    h("h3", { text: "The gateway does not answer as it should" }), h("p", { text: `${error.message}.` }),
    h("button", { type: "button", class: "button primary", text: "Try again", on: { click: again } })));
}

const out = document.getElementById("sign-out");
out.append(icon("leave"));
out.addEventListener("click", () => {
  setToken(null);
  location.reload();
});
addEventListener("storage", ({ key, newValue }) => key === READ && newValue && store.readElsewhere(Number(newValue)));
for (const event of ["online", "pageshow"]) addEventListener(event, () => live.retry());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  live.retry();
  grid.redraw();
});
startClock(() => header.tick());
showSkeleton(document.getElementById("grid"));
start();
