/**
 * The live connection: reconnects by itself with exponential backoff and jitter, resumes by cursor.
 *
 * Calls `onMessage(message)` for each message but the heartbeat, and `onState({state, since, retryAt, reason})` with
 * state connecting, live or down.
 */

import { liveAddress } from "./api.js";

const FIRST_MS = 400;
const MOST_MS = 30_000;
const CONNECT_MS = 10_000;

/** Wait before try number `attempt` (from 0): half of it fixed, half by chance, so that clients do not return in step. */
export function backoff(attempt, random = Math.random) {
  const whole = Math.min(MOST_MS, FIRST_MS * 2 ** attempt);
  return whole / 2 + (whole / 2) * random();
}

export class Live {
  #socket = null;
  #cursor = null;
  #attempt = 0;
  #timer = null;
  #watch = null;
  #heartbeat = 25_000;
  #downSince = null;
  #running = false;

  constructor({ onMessage, onState, beforeRetry }) {
    this.onMessage = onMessage;
    this.onState = onState;
    this.beforeRetry = beforeRetry; // (failures so far) → false: do not go on, the token is no longer good
  }

  start() {
    this.#running = true;
    this.#open();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#drop();
  }

  /** Try now instead of waiting; nothing where it is live. */
  retry() {
    if (!this.#running || this.#socket) return;
    clearTimeout(this.#timer);
    this.#attempt = 0;
    this.#open();
  }

  #open() {
    this.onState({ state: "connecting", since: this.#downSince });
    let socket;
    try {
      socket = new WebSocket(...liveAddress(this.#cursor));
    } catch {
      this.#later("the address cannot be opened");
      return;
    }
    this.#socket = socket;
    this.#expect(CONNECT_MS);
    socket.addEventListener("message", (event) => socket === this.#socket && this.#take(event.data));
    socket.addEventListener("close", (event) => {
      if (socket !== this.#socket) return;
      this.#drop();
      if (this.#running) this.#later(event.reason || (event.code === 1006 ? "" : `closed with ${event.code}`));
    });
  }

  #take(data) {
    this.#expect(2.2 * this.#heartbeat);
    const message = JSON.parse(data);
    if (message.type === "ping") {
      this.#socket.send('{"type":"pong"}');
      return;
    }
    if (message.type === "connection") {
      this.#attempt = 0;
      this.#downSince = null;
      this.#heartbeat = 1000 * (message.heartbeat_s ?? 25);
      // The cursor of the last message *handled* is kept: this one's only where nothing was missed before it.
      if (!message.resumed) this.#cursor = message.cursor;
      this.onState({ state: "live", since: null });
      this.onMessage(message);
      return;
    }
    this.onMessage(message);
    if (message.cursor && message.type !== "history") this.#cursor = message.cursor;
  }

  /** Give the connection up where nothing comes for `ms`: a network that went away closes nothing by itself. */
  #expect(ms) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.#drop();
      if (this.#running) this.#later("nothing heard");
    }, ms);
  }

  #drop() {
    clearTimeout(this.#watch);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #later(reason) {
    this.#downSince ??= Date.now();
    const wait = backoff(this.#attempt);
    this.#attempt += 1;
    this.onState({ state: "down", since: this.#downSince, retryAt: Date.now() + wait, reason });
    this.#timer = setTimeout(async () => {
      // A refused handshake looks like a lost network to a browser; asking by REST tells the two apart.
      if ((await this.beforeRetry(this.#attempt)) && this.#running && !this.#socket) this.#open();
    }, wait);
  }
}
