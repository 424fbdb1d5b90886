// What people read: amounts, prices, and a sentence for each refusal.

import type { Code } from "../wire.ts";

export function coins(amount: number): string {
  return amount.toLocaleString("en-US");
}

/** Large amounts in little room: 12.3K. */
export function short(amount: number): string {
  return amount < 10_000 ? coins(amount) : new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 }).format(amount);
}

/** Minor units of a currency as a price; `exponent` is how many decimals the currency has. */
export function price(minor: number, currency: string, exponent: number): string {
  return new Intl.NumberFormat("en-US", {
    style: "currency",
    currency,
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  }).format(minor / 10 ** exponent);
}

/** Decimals of a currency, where no answer told them. */
export function exponentOf(currency: string): number {
  return new Intl.NumberFormat("en-US", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

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
  not_allowed: "You are not allowed to send this here.",
  under_age: "You are too young for this in your country.",
  guardian_needed: "At your age a guardian must consent to this first.",
  age_unknown: "Your age must be known before you can do this.",
  own_limits_needed: "Set your own spending limits before you send gifts.",
  rate_limited: "That was too fast. It is sent again in a moment.",
  overloaded: "The server is busy. It is sent again in a moment.",
  unavailable: "The server cannot be reached for money now. It is sent again in a moment.",
  bad_request: "The server did not understand this.",
  unauthorized: "Your sign-in is not valid. Reload the page.",
  token_expired: "Your sign-in has expired. Reload the page.",
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

const TELLS_MORE: ReadonlySet<string> = new Set<Code>(["not_allowed", "gift_not_available", "limit_exceeded", "limit_reached", "below_threshold", "unprocessable"]);

/** A refusal in words; `message` is what the server said, used where it knows more than the code does. */
export function refusal(code: string, message = ""): string {
  const text = (TEXTS as Partial<Record<string, string>>)[code];
  if (text === undefined) return message || "This did not work.";
  return message && TELLS_MORE.has(code) ? `${text} ${message}` : text;
}
