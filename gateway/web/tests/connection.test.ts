// What a connection hands on of what it hears, over a socket of memory.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Connection } from "../src/net/connection.ts";
import type { Position } from "../src/wire.ts";

class MemorySocket {
  static readonly OPEN = 1;
  static last: MemorySocket;
  readyState = 1;
  sent: { type: string; ref: string; since?: Position | null }[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;

  constructor() {
    MemorySocket.last = this;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.readyState = 3;
  }

  hear(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

test("between a gap and its filling nothing is shown, so that nothing skipped passes for seen", () => {
  Object.assign(globalThis, { WebSocket: MemorySocket, location: { href: "http://127.0.0.1/", protocol: "http:" } });
  const shown: number[] = [];
  let position = 1;
  const connection = new Connection({
    room: "r",
    client: "test",
    token: () => "t",
    since: () => ({ epoch: 1, seq: position }),
    listener: {
      status: () => {},
      joined: () => {},
      events: (message) => {
        shown.push(message.seq);
        position = message.seq;
      },
      turnedAway: () => {},
    },
  });
  connection.start();
  const socket = MemorySocket.last;
  try {
    socket.onopen?.();
    socket.hear({ type: "joined", room: "r", ref: "r2" });
    socket.hear({ type: "events", room: "r", seq: 2 });
    socket.hear({ type: "notice", code: "resync", message: "" });
    assert.deepEqual(socket.sent.at(-1)?.since, { epoch: 1, seq: 2 });
    // The present state, and a tick that was on its way.
    socket.hear({ type: "events", room: "r", seq: 8 });
    socket.hear({ type: "events", room: "r", seq: 9 });
    socket.hear({ type: "joined", room: "r", ref: "r3", recovered: true });
    socket.hear({ type: "events", room: "r", seq: 9 });
    socket.hear({ type: "events", room: "r", seq: 10 });
    assert.deepEqual(shown, [2, 9, 10]);
  } finally {
    connection.stop();
  }
});
