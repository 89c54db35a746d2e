/** The gateway's REST API, and where the token lives. */

import { passing } from "./storage.js";

const KEY = "probestream.token";
const base = new URL(".", document.baseURI);

/** An answer that is an error: `status` 0 where there was no answer at all. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The token of this tab, or null. It ends with the tab: sessionStorage, not localStorage. */
export function token() {
  return passing.get(KEY);
}

export function setToken(value) {
  if (value) passing.set(KEY, value);
  else passing.remove(KEY);
}

async function call(method, path, body, timeoutMs = 15_000) {
  const headers = { Accept: "application/json" };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  if (method !== "GET") headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(new URL(path, base), {
      method, headers, body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
      cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (error) {
    const late = error.name === "TimeoutError";
    throw new ApiError(0, late ? "timeout" : "unreachable",
      late ? `the gateway did not answer within ${timeoutMs / 1000} s` : "the gateway cannot be reached");
  }
  let answer = null;
  try {
    answer = await response.json();
  } catch { /* a proxy's error page is no JSON; the status says enough */ }
  if (response.ok && answer !== null) return answer;
  throw new ApiError(response.status, answer?.error?.code ?? "", answer?.error?.message ?? `the gateway answered ${response.status}`);
}

const name = encodeURIComponent;

export const api = {
  targets: () => call("GET", "api/targets"),
  series: (target, minutes, step, metric) =>
    call("GET", `api/targets/${name(target)}/series?minutes=${minutes}${step ? `&step_s=${step}` : ""}${metric ? `&metric=${name(metric)}` : ""}`),
  uptime: (target, hours) => call("GET", `api/targets/${name(target)}/uptime?hours=${hours}`),
  alerts: (query) => call("GET", `api/health/alerts?${new URLSearchParams(query)}`),
  alert: (id) => call("GET", `api/alerts/${name(id)}`),
  acknowledge: (id, body) => call("POST", `api/alerts/${name(id)}/acknowledge`, body),
  check: (body) => call("POST", "api/health/check", body, 90_000),
};

/** Address and subprotocols of the live connection. The token goes as a subprotocol: a query would be in logs. */
export function liveAddress(cursor) {
  const url = new URL("ws/health", base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (cursor) url.searchParams.set("cursor", cursor);
  if (!token()) return [url.href, []];
  const octets = String.fromCharCode(...new TextEncoder().encode(token()));
  const text = btoa(octets).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  return [url.href, ["probestream.v1", `bearer.${text}`]];
}
