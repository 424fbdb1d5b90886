// What people read: amounts, prices and times.

const DAY_MS = 86_400_000;

export function coins(amount: number): string {
  return amount.toLocaleString("en-US");
}

/** Large amounts in little room: 12.3K. */
export function short(amount: number, decimals = 1): string {
  return amount < 10_000 ? coins(amount) : new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: decimals }).format(amount);
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

/** A moment as people say it, by their own clock: "today at 14:05", "on Mar 3 at 02:00". */
export function moment(ms: number, nowMs: number, timeZone?: string): string {
  const zone = timeZone === undefined ? {} : { timeZone };
  const time = new Intl.DateTimeFormat("en-US", { ...zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(ms);
  const day = (at: number): string => new Intl.DateTimeFormat("en-CA", { ...zone, dateStyle: "short" }).format(at);
  if (day(ms) === day(nowMs)) return `today at ${time}`;
  if (day(ms) === day(nowMs + DAY_MS)) return `tomorrow at ${time}`;
  return `on ${new Intl.DateTimeFormat("en-US", { ...zone, month: "short", day: "numeric" }).format(ms)} at ${time}`;
}

/** Words as a list: "a, b and c". */
export function listed(words: readonly string[]): string {
  return new Intl.ListFormat("en-GB").format(words);
}
