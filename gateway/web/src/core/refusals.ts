// A sentence for each refusal, with the numbers that the server told beside its code.

import type { Code } from "../wire.ts";
import { coins, listed, moment } from "./words.ts";

/** Every code has its sentence: the compiler asks for it when the registry grows. */
const TEXTS: Record<Code, string> = {
  insufficient_coins: "You do not have enough coins for this gift.",
  unknown_gift: "This gift is not in the catalogue any more. Reload the page.",
  unknown_room: "This room does not exist.",
  unknown_receiver: "The receiver does not earn in this room.",
  gift_not_available: "This gift cannot be sent here.",
  id_conflict: "This gift was already sent with other content. Nothing was charged.",
  id_expired: "This took too long, so nothing was charged. Check the clock of this device, then send again.",
  limit_exceeded: "This would pass a spending limit.",
  not_allowed: "This is not allowed.",
  under_age: "You are too young for this in your country.",
  guardian_needed: "At your age a guardian must consent to this first.",
  age_unknown: "Your age must be known before you can do this.",
  own_limits_needed: "Set your own spending limits before you send gifts.",
  rate_limited: "That was too fast. It is sent again in a moment.",
  overloaded: "The server is busy. It is sent again in a moment.",
  unavailable: "The server cannot be reached for money now. It is sent again in a moment.",
  bad_request: "The server did not understand this.",
  unauthorized: "Your sign-in is not valid. Open this page again from where you came.",
  token_expired: "Your sign-in has expired. Open this page again from where you came.",
  not_found: "There is nothing here.",
  undo_expired: "This gift can no longer be taken back.",
  unknown_package: "This package is not sold in your country.",
  wrong_state: "This cannot be done any more.",
  below_threshold: "This is less than the smallest withdrawal.",
  insufficient_earnings: "You do not have that many diamonds available.",
  unprocessable: "A field has a wrong value.",
  method_not_allowed: "The server does not do this.",
  payload_too_large: "This is too large.",
  unsupported_media_type: "The server did not understand this.",
  bad_signature: "The signature is not valid.",
  unknown_provider: "There is no such payment provider.",
  unknown_method: "This payout method does not exist. Choose another one.",
  limit_reached: "There are already as many as there may be.",
  internal: "The server failed. Nothing was lost.",
};

/** Of these the server's own sentence says all of it. */
const TELLS_ALL: ReadonlySet<string> = new Set<Code>(["not_allowed", "gift_not_available"]);
const TELLS_MORE: ReadonlySet<string> = new Set<Code>(["not_found", "limit_exceeded", "limit_reached", "below_threshold", "unprocessable"]);

/** What may stand beside a code, over the socket and over HTTP alike. */
export interface Told {
  limit?: string;
  limit_coins?: number;
  spent_coins?: number;
  resets_at_ms?: number;
  age_min?: number;
  limits_needed?: readonly string[];
}

/** Names of limits as they stand after "a limit for". */
export const LIMIT_WORDS: Readonly<Record<string, string>> = { gift: "a gift", day: "a day", week: "a week", month: "a month" };

/** A refusal in words; `message` is what the server said, used where it knows more than the code does. */
export function refusal(code: string, message = "", told: Told = {}, nowMs = Date.now()): string {
  const exact = exactly(code, message, told, nowMs);
  if (exact !== null) return exact;
  const text = (TEXTS as Partial<Record<string, string>>)[code];
  if (text === undefined) return message || "This did not work.";
  if (message && TELLS_ALL.has(code)) return message;
  return message && TELLS_MORE.has(code) ? `${text} ${message}` : text;
}

/** Whether the viewer's page of limits says more about it, or helps. */
export function concernsLimits(code: string, told: Told): boolean {
  return code === "own_limits_needed" || (code === "limit_exceeded" && told.limit !== "creator_day");
}

function exactly(code: string, message: string, told: Told, nowMs: number): string | null {
  const { age_min: age, limits_needed: needed } = told;
  if (code === "limit_exceeded") return limitPassed(message, told, nowMs);
  if (code === "under_age" && age !== undefined) return `You must be ${age} or older for this.`;
  if (code === "guardian_needed" && age !== undefined) return `Until you are ${age}, a guardian must consent to this first.`;
  if (code !== "own_limits_needed" || !needed?.length) return null;
  return `Set a limit of your own for ${listed(needed.map((limit) => LIMIT_WORDS[limit] ?? limit))} before you send gifts.`;
}

function limitPassed(message: string, { limit, limit_coins: most, spent_coins: spent, resets_at_ms: resetsMs }: Told, nowMs: number): string | null {
  if (limit === "payout_day") return `${message || "This is more than may be withdrawn in a day."}${anew(resetsMs, nowMs)}`;
  if (limit === undefined || most === undefined) return null;
  if (limit === "gift") return `A gift of yours may cost ${coins(most)} coins at most.`;
  const whose = limit === "creator_day" ? `This creator takes ${coins(most)} coins from you in a day` : `You may spend ${coins(most)} coins in ${LIMIT_WORDS[limit] ?? limit}`;
  const rest = spent === undefined ? "" : `, and ${coins(spent)} are spent`;
  return `${whose}${rest}.${anew(resetsMs, nowMs)}`;
}

function anew(resetsMs: number | undefined, nowMs: number): string {
  return resetsMs === undefined ? "" : ` Counting starts anew ${moment(resetsMs, nowMs)}.`;
}
