// One WebSocket to a room: hello, join, resume, and coming back by itself. Knows nothing of what events mean.

import { delayMs, mayReconnect } from "../core/backoff.ts";
import { asked, beat, heard, opening, type Pulse } from "../core/pulse.ts";
import { CLOSE } from "../wire.ts";
import type { ClientMessage, Events, Joined, Position, Refused, ServerMessage, Welcome } from "../wire.ts";

const SUBPROTOCOL = "giftwire.v1.json";
const BEAT_MS = 1_000;

export type Status = "connecting" | "open" | "lost" | "stopped";

export interface Listener {
  /** `code` is the close code when the connection was lost or stopped. */
  status(status: Status, code?: number): void;
  welcome?(message: Welcome): void;
  joined(message: Joined): void;
  events(message: Events): void;
  other?(message: ServerMessage): void;
  /** The room cannot be entered; the connection is stopped. */
  turnedAway(message: Refused): void;
}

export interface Options {
  room: string;
  client: string;
  token: () => string;
  /** From where to resume; null to begin with the present. */
  since: () => Position | null;
  listener: Listener;
}

export class Connection {
  private socket: WebSocket | null = null;
  private attempt = 0;
  private toldMs: number | null = null;
  private refs = 0;
  private pulse: Pulse = opening(0);
  private beats: ReturnType<typeof setInterval> | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private stopped = false;
  private joinRef = "";
  /** Something was skipped and is asked for: what comes before the answer is in it, too. */
  private healing = false;

  private readonly options: Options;

  constructor(options: Options) {
    this.options = options;
  }

  /** Connect, and stay connected until `stop` or a close code that forbids it. */
  start(): void {
    this.stopped = this.healing = false;
    this.options.listener.status("connecting");
    const address = new URL("/v1/ws", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address, SUBPROTOCOL);
    this.socket = socket;
    this.pulse = opening(performance.now());
    socket.onopen = () => this.send({ type: "hello", ref: this.ref(), token: this.options.token(), client: this.options.client });
    socket.onmessage = ({ data }) => this.hear(socket, JSON.parse(String(data)) as ServerMessage);
    socket.onclose = ({ code }) => this.lost(socket, code);
    clearInterval(this.beats);
    this.beats = setInterval(() => this.beat(socket), BEAT_MS);
  }

  stop(): void {
    this.stopped = true;
    clearInterval(this.beats);
    clearTimeout(this.retry);
    this.socket?.close(1000);
    this.socket = null;
  }

  ref(): string {
    return `r${++this.refs}`;
  }

  /** Hand a message to the socket; false when there is none that is open. */
  send(message: ClientMessage): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  private hear(socket: WebSocket, message: ServerMessage): void {
    if (socket !== this.socket) return;
    this.pulse = heard(performance.now());
    const { listener, room } = this.options;
    switch (message.type) {
      case "welcome":
        listener.welcome?.(message);
        this.join();
        return;
      case "joined":
        this.attempt = 0;
        this.healing = false;
        listener.status("open");
        return listener.joined(message);
      case "events":
        // Shown now they would move the position beyond the gap, and what was skipped would pass for seen.
        if (message.room === room && !this.healing) listener.events(message);
        return;
      case "notice":
        if (message.code === "resync") {
          this.healing = true;
          this.join();
        }
        if (message.code === "drain") this.toldMs = message.reconnect_after_ms ?? null;
        return listener.other?.(message);
      case "refused":
        if (message.ref === this.joinRef) return this.joinRefused(message);
        return listener.other?.(message);
      default:
        return listener.other?.(message);
    }
  }

  private joinRefused(message: Refused): void {
    if (message.retryable) {
      this.retry = setTimeout(() => this.join(), (message.retry_after_ms ?? 1_000) + delayMs(0, Math.random()));
      return;
    }
    this.stop();
    this.options.listener.turnedAway(message);
  }

  private join(): void {
    this.joinRef = this.ref();
    this.send({ type: "join", ref: this.joinRef, room: this.options.room, since: this.options.since() });
  }

  private beat(socket: WebSocket): void {
    const now = performance.now();
    const next = beat(this.pulse, now);
    if (next === "dead") {
      // A socket whose peer is gone may take minutes to close: it is left behind, not waited for.
      socket.onclose = null;
      socket.close();
      this.lost(socket, CLOSE.HEARTBEAT);
    } else if (next === "ask") {
      this.pulse = asked(this.pulse, now);
      this.send({ type: "ping", ref: this.ref() });
    }
  }

  private lost(socket: WebSocket, code: number): void {
    if (socket !== this.socket) return;
    this.socket = null;
    clearInterval(this.beats);
    if (this.stopped || !mayReconnect(code)) return this.options.listener.status("stopped", code);
    this.options.listener.status("lost", code);
    this.retry = setTimeout(() => this.start(), delayMs(this.attempt++, Math.random(), this.toldMs));
    this.toldMs = null;
  }
}
