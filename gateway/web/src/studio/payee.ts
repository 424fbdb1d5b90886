// Who is paid, a creator or an agency: where its money is asked for, and what the cards show of it.

import { exponentOf, price } from "../core/words.ts";

/** What diamonds are paid out as. */
export interface Rate {
  payout_currency: string;
  diamonds_per_minor: number;
}

export interface Payee {
  /** Where all of it is asked for: `/v1/creators/me` or `/v1/agencies/me`. */
  path: string;
  rate: Rate;
}

/** What a payee has, as the server tells it. */
export interface Purse {
  pending_diamonds: number;
  available_diamonds: number;
  on_hold_diamonds: number;
  paid_out_diamonds: number;
  next_matures_ms: number | null;
}

/** What the studio of a payee shows, and how it is brought up to date. */
export interface View {
  name: string;
  parts: readonly HTMLElement[];
  /** Settles once the amounts at the top are the present ones, and fails when they could not be read. */
  refresh(): Promise<void>;
}

/** Diamonds as money, rounded down as a payout would be. */
export function worth(diamonds: number, rate: Rate): string {
  return price(Math.floor(diamonds / rate.diamonds_per_minor), rate.payout_currency, exponentOf(rate.payout_currency));
}
