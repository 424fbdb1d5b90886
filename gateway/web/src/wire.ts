// Messages of the public protocol, version 1. Written by `python -m gateway.wire.typescript`: do not edit.

export const AMOUNT_MAX = 9007199254740991;
export const COUNT_MAX = 9999;
export const MESSAGE_LENGTH_MAX = 200;

export type Code =
  | "insufficient_coins"
  | "unknown_gift"
  | "unknown_room"
  | "unknown_receiver"
  | "gift_not_available"
  | "id_conflict"
  | "id_expired"
  | "limit_exceeded"
  | "not_allowed"
  | "under_age"
  | "guardian_needed"
  | "age_unknown"
  | "own_limits_needed"
  | "rate_limited"
  | "overloaded"
  | "unavailable"
  | "bad_request"
  | "not_found"
  | "undo_expired"
  | "unauthorized"
  | "token_expired"
  | "method_not_allowed"
  | "payload_too_large"
  | "unsupported_media_type"
  | "unprocessable"
  | "bad_signature"
  | "unknown_package"
  | "unknown_provider"
  | "wrong_state"
  | "below_threshold"
  | "insufficient_earnings"
  | "unknown_method"
  | "limit_reached"
  | "internal";

export type NoticeCode =
  | "drain"
  | "resync";

/** Codes after which the same request may succeed later. */
export const RETRYABLE: readonly Code[] = [
  "rate_limited",
  "overloaded",
  "unavailable",
  "internal",
];

/** 4000-4499: reconnect; 4500-4999: do not. */
export const CLOSE = {
  GOING_AWAY: 4000,
  SLOW_CONSUMER: 4001,
  HEARTBEAT: 4002,
  INSUFFICIENT_STATE: 4003,
  RATE_LIMITED: 4004,
  BAD_TOKEN: 4500,
  TOKEN_EXPIRED: 4501,
  PROTOCOL_ERROR: 4502,
  REPLACED: 4503,
  FORBIDDEN: 4504,
} as const;

/** A place in a room's history: everything up to and including `seq` of `epoch` is known. */
export interface Position {
  epoch: number;
  seq: number;
}

/** The first message of a connection; the token says who it is. */
export interface Hello {
  type: "hello";
  ref: string;
  token: string;
  client?: string;
}

/** Enter a room; with `since`, ask for the events after that position. */
export interface Join {
  type: "join";
  ref: string;
  room: string;
  since?: Position | null;
}

/** Leave a room. */
export interface Leave {
  type: "leave";
  ref: string;
  room: string;
}

/** Send a gift in a room or on a video (exactly one of the two). */
export interface SendGift {
  type: "gift";
  ref: string;
  id: string;
  gift: string;
  room?: string | null;
  video?: string | null;
  count?: number;
  combo?: boolean;
  to?: string | null;
  message?: string | null;
  anonymous?: boolean;
}

/** Take a gift of one's own back, before its `undo_until_ms`. */
export interface Undo {
  type: "undo";
  ref: string;
  id: string;
}

/** An overlay has shown everything up to `seq`. */
export interface Ack {
  type: "ack";
  room: string;
  seq: number;
}

/** Ask for a `pong` with the server's time. */
export interface Ping {
  type: "ping";
  ref: string;
}

/** What this connection may do; told once in `welcome`. */
export interface Limits {
  message_bytes_max: number;
  gift_count_max: number;
  message_length_max: number;
  rooms_max: number;
  commands_per_second_max: number;
  heartbeat_ms: number;
  undo_coins_min?: number;
  undo_window_ms?: number;
}

/** The token was good; commands may follow. A viewer is also told its balance. */
export interface Welcome {
  type: "welcome";
  ref: string;
  session: string;
  user: string;
  role: "agency" | "creator" | "operator" | "overlay" | "viewer";
  server_time_ms: number;
  limits: Limits;
  balance_coins?: number;
}

/** A run of one gift by one sender: running totals and where it stands. */
export interface Combo {
  id: string;
  count: number;
  coins: number;
  state: "end" | "start" | "update";
}

/** What the sender is told of its combo. */
export interface ComboCount {
  id: string;
  count: number;
}

/** One line of a room's top list. */
export interface TopEntry {
  user: string;
  name: string;
  coins: number;
  level?: number;
}

/** What a newcomer needs to draw the room: absolute, as of the `seq` it came with. */
export interface RoomState {
  room: string;
  title: string;
  creator: string;
  creator_name: string;
  viewers: number;
  leaderboard: TopEntry[];
  combo_window_ms: number;
}

/** The room is entered. When `recovered`, the missed events follow; else some were missed, or none asked for. */
export interface Joined {
  type: "joined";
  ref: string;
  room: string;
  epoch: number;
  seq: number;
  recovered: boolean;
  state: RoomState;
  resumed_from?: Position;
}

/** The room is left. */
export interface Left {
  type: "left";
  ref: string;
  room: string;
}

/** The gift is paid and its record is on disk. */
export interface Accepted {
  type: "accepted";
  ref: string;
  id: string;
  coins: number;
  balance_coins: number;
  replay: boolean;
  combo?: ComboCount;
  undo_until_ms?: number;
}

/** The gift is taken back: its coins are in the wallet again, its creator earns nothing, and its room is told. */
export interface Undone {
  type: "undone";
  ref: string;
  id: string;
  coins: number;
  balance_coins: number;
  replay: boolean;
}

/** The command was not carried out, and nothing was charged. */
export interface Refused {
  type: "refused";
  code: string;
  message: string;
  retryable: boolean;
  ref?: string;
  id?: string;
  retry_after_ms?: number;
  field?: string;
  limit?: string;
  resets_at_ms?: number;
  balance_coins?: number;
  limit_coins?: number;
  spent_coins?: number;
  age_min?: number;
  limits_needed?: string[];
  bound?: string;
  bound_max?: number;
}

/** Answer to `ping`. */
export interface Pong {
  type: "pong";
  ref: string;
  server_time_ms: number;
}

/** Who sent a gift, as shown to others. */
export interface Sender {
  id: string;
  name: string;
  level?: number;
}

/** A gift was sent, or a combo moved. */
export interface GiftEvent {
  kind: "gift";
  seq: number;
  sender: Sender | null;
  to: string;
  gift: string;
  price_coins: number;
  count: number;
  coins: number;
  at_ms: number;
  combo?: Combo;
  id?: string;
  message?: string;
  merged?: number;
  test?: boolean;
  undo_until_ms?: number;
}

/** The gift with this `id` was taken back by its sender. Told to everybody, always after the gift, never merged. */
export interface UndoneEvent {
  kind: "undone";
  seq: number;
  id: string;
  sender: Sender | null;
  to: string;
  gift: string;
  price_coins: number;
  count: number;
  coins: number;
  at_ms: number;
}

/** Small gifts that were merged away in this tick, for viewers. */
export interface SummaryEvent {
  kind: "summary";
  gifts: number;
  count: number;
  coins: number;
}

/** The room's top list, absolute. */
export interface LeaderboardEvent {
  kind: "leaderboard";
  entries: TopEntry[];
}

/** The room's live state, absolute. */
export interface RoomEvent {
  kind: "room";
  live: boolean;
  viewers: number;
}

/** What happened in a room, up to and including `seq` of `epoch`. */
export interface Events {
  type: "events";
  room: string;
  epoch: number;
  seq: number;
  events: (GiftEvent | UndoneEvent | SummaryEvent | LeaderboardEvent | RoomEvent)[];
}

/** The wallet after a change that this session did not itself ask for. */
export interface Balance {
  type: "balance";
  balance_coins: number;
}

/** Something the client should know: a drain, a resync. */
export interface Notice {
  type: "notice";
  code: string;
  message: string;
  reconnect_after_ms?: number;
}

export type ClientMessage = Hello | Join | Leave | SendGift | Undo | Ack | Ping;

export type Event = GiftEvent | UndoneEvent | SummaryEvent | LeaderboardEvent | RoomEvent;

export type ServerMessage = Welcome | Joined | Left | Accepted | Undone | Refused | Pong | Events | Balance | Notice;
