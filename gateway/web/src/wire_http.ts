// Bodies and answers of the public protocol over HTTP, version 1. Written by `python -m gateway.wire.typescript`: do not edit.

import type { ComboCount, TopEntry, RoomState, GiftEvent, UndoneEvent } from "./wire.ts";

/** Why a request was not carried out (RFC 9457). */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  code: string;
  retryable: boolean;
  detail?: string;
  field?: string;
  retry_after_ms?: number;
  balance_coins?: number;
  limit?: string;
  resets_at_ms?: number;
  limit_coins?: number;
  spent_coins?: number;
  age_min?: number;
  limits_needed?: string[];
  bound?: string;
  bound_max?: number;
  missing?: Record<string, string>;
}

/** The process runs. */
export interface Health {
  status: "ok";
}

/** The process can do its work. */
export interface Readiness {
  status: "ready";
}

/** A shelf of the gift panel. */
export interface CatalogTier {
  tier: number;
  name: string;
  price_coins_max: number;
}

/** Something that a viewer can send. */
export interface CatalogGift {
  id: string;
  name: string;
  price_coins: number;
  tier: number;
  combo: boolean;
  icon: string;
  colour: string;
  animation: string;
  effect: "banner" | "float" | "screen";
  duration_ms: number;
  level_min: number;
  fans_only: boolean;
  on_video: boolean;
}

/** A package of coins as one buyer sees it now. */
export interface PackageOffer {
  package: string;
  coins: number;
  bonus_coins: number;
  currency: string;
  exponent: number;
  price_minor: number;
  in_app_price_minor: number;
  saving_bp: number;
  promotion: string | null;
}

/** Everything that can be given and bought. */
export interface Catalog {
  version: string;
  tiers: CatalogTier[];
  gifts: CatalogGift[];
  packages: PackageOffer[];
  levels: number[];
}

/** Bounds of an amount of the buyer's own choice. */
export interface CustomAmounts {
  coins_min: number;
  coins_max: number;
}

/** What coins cost for a country and a platform. A first purchase may cost less; its price is told when it is made. */
export interface Packages {
  country: string | null;
  platform: "android" | "ios" | "web";
  packages: PackageOffer[];
  custom: CustomAmounts | null;
}

/** A room and who earns in it. */
export interface Room {
  room: string;
  title: string;
  creator: string;
  creator_name: string;
  viewers: number;
}

/** Rooms in the order of their names. */
export interface Rooms {
  rooms: Room[];
  next: string | null;
}

/** Events of a room's history, the complete ones. */
export interface RoomEvents {
  epoch: number;
  events: (GiftEvent | UndoneEvent)[];
  next: number;
  recovered: boolean;
}

/** Who gave most in a room. */
export interface Leaderboard {
  entries: TopEntry[];
}

/** A webhook was understood. */
export interface Heard {
  duplicate: boolean;
}

/** A viewer's coins. */
export interface Wallet {
  user: string;
  name: string;
  level: number;
  balance_coins: number;
}

/** One movement of a wallet. */
export interface WalletEntry {
  id: string;
  at_ms: number;
  cause: string;
  coins: number;
  balance_coins: number;
  gift: string | null;
  place: string | null;
  creator: string | null;
}

/** Coins of this wallet that are, or were, put aside for an order. */
export interface WalletHold {
  id: string;
  coins: number;
  reference: string;
  state: "expired" | "open" | "settled" | "voided";
  begun_ms: number;
  expires_ms: number;
  taken_coins: number | null;
  ended_ms: number | null;
}

/** Holds of a wallet, the newest first. */
export interface WalletHolds {
  holds: WalletHold[];
  next: number | null;
}

/** Movements of a wallet, the newest first. */
export interface WalletEntries {
  entries: WalletEntry[];
  next: number | null;
}

/** What holds from a time on. */
export interface PendingLimit {
  coins: number | null;
  from_ms: number;
}

/** How many coins may be spent on a gift or in a period. */
export interface SpendLimit {
  coins: number | null;
  operator_coins: number | null;
  own_coins: number | null;
  pending: PendingLimit | null;
  spent_coins: number | null;
  resets_at_ms: number | null;
  age_coins: number | null;
}

/** Why the viewer's age or country forbids all its gifts. */
export interface RefusedByAge {
  code: string;
  age_min: number | null;
  limits_needed: string[];
}

/** All limits of a viewer; days, weeks (from Monday) and months are those of UTC. */
export interface SpendLimits {
  gift: SpendLimit;
  day: SpendLimit;
  week: SpendLimit;
  month: SpendLimit;
  refused: RefusedByAge | null;
}

/** Change one's own limits. What is absent stays as it is; null asks for no limit. */
export interface SpendLimitsBody {
  gift_coins?: number | null;
  day_coins?: number | null;
  week_coins?: number | null;
  month_coins?: number | null;
}

/** Buy coins. The price is the catalogue's, never the client's. */
export interface PurchaseBody {
  id: string;
  package: string;
  platform: "android" | "ios" | "web";
  country?: string | null;
  coins?: number | null;
  rail?: string | null;
}

/** A purchase and where it stands. */
export interface Purchase {
  id: string;
  package: string;
  coins: number;
  bonus_coins: number;
  price_minor: number;
  currency: string;
  country: string | null;
  platform: "android" | "ios" | "web";
  promotion: string | null;
  rail: string;
  state: string;
  checkout: string;
  created_ms: number;
  balance_coins: number | null;
  refunded_coins?: number;
}

/** A viewer's purchases, the newest first. */
export interface Purchases {
  purchases: Purchase[];
  next: string | null;
}

/** Send a gift in a room or on a video (exactly one of the two). */
export interface GiftBody {
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

/** The gift is paid and its record is on disk. */
export interface GiftReceipt {
  id: string;
  coins: number;
  balance_coins: number;
  replay: boolean;
  combo?: ComboCount;
  undo_until_ms?: number;
}

/** The gift is taken back: its coins are in the wallet again. */
export interface UndoReceipt {
  id: string;
  coins: number;
  balance_coins: number;
  replay: boolean;
}

/** What became of a gift that was paid. One that was not is a 404. */
export interface GiftOutcome {
  id: string;
  state: "accepted" | "held" | "undone";
  coins: number;
  balance_coins: number;
  place: string;
  gift: string;
  price_coins: number;
  count: number;
  creator: string;
  at_ms: number;
  combo: ComboCount | null;
  undo_until_ms?: number;
}

/** What of a gift is the creator's. */
export interface Share {
  commission_bp: number;
  share_bp: number;
  share_percent: number;
  diamonds_per_coin: number;
  payout_currency: string;
  diamonds_per_minor: number;
}

/** One gift of 100 coins, divided: price = commission + share. */
export interface ShareExample {
  price_coins: number;
  price_diamonds: number;
  commission_diamonds: number;
  share_diamonds: number;
  payout_minor: number;
}

/** A creator's diamonds. */
export interface Earnings {
  creator: string;
  live_diamonds: number;
  pending_diamonds: number;
  available_diamonds: number;
  on_hold_diamonds: number;
  paid_out_diamonds: number;
  next_matures_ms: number | null;
  share: Share;
  example: ShareExample;
  taken_back_diamonds?: number;
  discounted_diamonds?: number;
}

/** One movement of one of a creator's accounts. */
export interface StatementEntry {
  id: string;
  at_ms: number;
  cause: string;
  diamonds: number;
  balance_diamonds: number;
  gift: string | null;
  place: string | null;
}

/** Movements of one of a creator's accounts, the newest first. */
export interface Statement {
  account: string;
  entries: StatementEntry[];
  next: number | null;
}

/** What a creator earned on one day (UTC). */
export interface DayStatistics {
  day: string;
  earned_diamonds: number;
  gifts: number;
  discounted_diamonds?: number;
}

/** What a creator earned, by day; days without a gift are left out. */
export interface Statistics {
  creator: string;
  days: DayStatistics[];
}

/** Where money is to be sent. */
export interface PayoutMethodBody {
  id: string;
  kind: string;
  label: string;
  details?: Record<string, string>;
}

/** Where money can be sent. */
export interface PayoutMethod {
  id: string;
  kind: string;
  label: string;
  created_ms: number;
}

/** All of a creator's. */
export interface PayoutMethods {
  methods: PayoutMethod[];
}

/** Ask for diamonds to be paid out. */
export interface WithdrawalBody {
  id: string;
  method: string;
  diamonds: number;
}

/** A withdrawal and where it stands. */
export interface Withdrawal {
  id: string;
  creator: string;
  method: string;
  asked_diamonds: number;
  diamonds: number;
  amount_minor: number;
  currency: string;
  state: "approved" | "failed" | "paid" | "rejected" | "requested" | "returned" | "review" | "sent";
  requested_ms: number;
  changed_ms: number;
  agency?: string | null;
}

/** One step of a withdrawal. */
export interface WithdrawalStep {
  before: "approved" | "failed" | "paid" | "rejected" | "requested" | "returned" | "review" | "sent" | null;
  after: "approved" | "failed" | "paid" | "rejected" | "requested" | "returned" | "review" | "sent";
  at_ms: number;
  by: string | null;
  note: string;
}

/** A withdrawal with all of its steps. */
export interface WithdrawalCourse {
  withdrawal: Withdrawal;
  steps: WithdrawalStep[];
  slip: string | null;
}

/** Withdrawals, the newest first. */
export interface Withdrawals {
  withdrawals: Withdrawal[];
  next: string | null;
}

/** Make a token for an overlay. */
export interface OverlayTokenBody {
  room?: string | null;
  label?: string;
  days?: number | null;
}

/** A new token. It is told once and cannot be asked for again. */
export interface OverlayTokenMade {
  jti: string;
  token: string;
  room: string | null;
  label: string;
  expires_ms: number;
  overlay_path: string | null;
}

/** A token that is good now. */
export interface OverlayToken {
  jti: string;
  room: string | null;
  label: string;
  created_ms: number;
  expires_ms: number;
}

/** All of a creator's that are good now, the newest first. */
export interface OverlayTokens {
  tokens: OverlayToken[];
}

/** Which gifts a creator takes in a room. */
export interface RoomFilters {
  gift_coins_min?: number;
  blocked?: string[];
  allowed?: string[] | null;
  viewer_day_coins_max?: number | null;
}

/** What a creator may change of a room. What is absent stays as it is. */
export interface OwnRoomBody {
  title?: string;
  filters?: RoomFilters;
}

/** A room as its creator sees it. */
export interface OwnRoom {
  place: string;
  state: RoomState;
  share: Share;
  filters: RoomFilters;
}

/** Show a gift that nobody paid, to try the overlay. */
export interface TrialGiftBody {
  gift: string;
  count?: number;
  name?: string;
  message?: string | null;
}

/** The test gift was told to the room; it is in no total. */
export interface TrialGift {
  room: string;
  gift: string;
  coins: number;
}

/** Make an agency, or replace what is known of one. A creator that names an agency makes it, too. */
export interface AgencyBody {
  name: string;
  country?: string | null;
}

/** An agency, and what it was given of all gifts in the books. */
export interface Agency {
  agency: string;
  diamonds: number;
  name?: string;
  country?: string | null;
}

/** Agencies by id. */
export interface Agencies {
  agencies: Agency[];
  next: string | null;
}

/** An agency's diamonds, as far as the books are. */
export interface AgencyEarnings {
  agency: string;
  given_diamonds: number;
  pending_diamonds: number;
  available_diamonds: number;
  on_hold_diamonds: number;
  paid_out_diamonds: number;
  next_matures_ms: number | null;
  discounted_diamonds: number;
  payout_currency: string;
  diamonds_per_minor: number;
}

/** What an agency was given, by day; days without a gift are left out. */
export interface AgencyStatistics {
  agency: string;
  days: DayStatistics[];
}

/** The creators that an agency looks after now, by id. */
export interface AgencyCreators {
  agency: string;
  creators: string[];
  next: string | null;
}

/** Give coins to a user. */
export interface GrantBody {
  id: string;
  user: string;
  coins: number;
  reason: string;
  worth_bp?: number | null;
}

/** Coins that were given. */
export interface Grant {
  id: string;
  user: string;
  coins: number;
  balance_coins: number;
  replay: boolean;
}

/** Give coins of a purchase back. */
export interface RefundBody {
  id: string;
  purchase: string;
  kind: "chargeback" | "refund";
  reason: string;
  coins?: number | null;
  money?: "other" | "provider";
}

/** Settle a refund by hand that is set apart. */
export interface RefundByHandBody {
  note: string;
}

/** What was taken for a refund comes back: a dispute was won, or the refund failed. */
export interface Reinstated {
  by: string;
  reason: string;
  done_ms?: number | null;
  coins?: number | null;
  creator_diamonds?: number | null;
}

/** A refund or charge-back. */
export interface Refund {
  id: string;
  purchase: string;
  user: string;
  kind: "chargeback" | "refund";
  coins: number;
  reason: string;
  by: string;
  state: "owed" | "settled" | "taken" | "voided";
  at_ms: number;
  taken_coins: number | null;
  balance_coins: number | null;
  returned_coins: number | null;
  creator_diamonds: number | null;
  commission_diamonds: number | null;
  borne_diamonds: number | null;
  set_apart?: string | null;
  settled_by?: string | null;
  reinstated?: Reinstated | null;
  money?: "other" | "provider" | "told";
}

/** Refunds by their ids, the greatest first. */
export interface Refunds {
  refunds: Refund[];
  next: string | null;
}

/** Put coins of a user aside. */
export interface HoldBody {
  id: string;
  user: string;
  coins: number;
  lasts_ms: number;
  reference?: string;
}

/** Coins that were put aside. */
export interface HoldBegun {
  id: string;
  user: string;
  coins: number;
  expires_ms: number;
  balance_coins: number;
  replay: boolean;
}

/** Take coins of a hold. */
export interface HoldSettleBody {
  coins?: number | null;
}

/** A hold that has ended. */
export interface HoldEnded {
  id: string;
  user: string;
  state: "expired" | "settled" | "voided";
  coins: number;
  taken_coins: number;
  balance_coins: number;
  at_ms: number;
  replay: boolean;
}

/** A hold as it stands; `taken_coins` and `ended_ms` are of one that has ended. */
export interface Hold {
  id: string;
  user: string;
  coins: number;
  reference: string;
  state: "expired" | "open" | "settled" | "voided";
  begun_ms: number;
  expires_ms: number;
  taken_coins: number | null;
  ended_ms: number | null;
}

/** A user's holds, the newest first. */
export interface Holds {
  holds: Hold[];
  next: number | null;
}

/** Coins of one purchase (or its bonus) or grant; coins = left + spent + reversed. */
export interface ViewerLot {
  id: string;
  kind: "bonus" | "granted" | "paid";
  at_ms: number;
  coins: number;
  left_coins: number;
  spent_coins: number;
  reversed_coins: number;
  returned_coins: number;
  worth_bp?: number;
}

/** A user's coins by where they came from, in the order in which they are spent. */
export interface ViewerLots {
  user: string;
  debt_coins: number;
  lots: ViewerLot[];
  next: number | null;
}

/** What coins of a purchase or grant paid of a gift. */
export interface PaidGift {
  gift: string;
  creator: string;
  place: string;
  at_ms: number;
  coins: number;
  creator_diamonds: number;
  commission_diamonds: number;
  bonus: boolean;
  refunded: boolean;
  held: boolean;
}

/** What the coins of a purchase or grant paid for, in the order of the gifts. */
export interface PaidGifts {
  id: string;
  gifts: PaidGift[];
  next: number | null;
}

/** Make a creator, or replace what is known of one. */
export interface CreatorBody {
  name: string;
  country?: string | null;
  plan?: string;
  commission_bp?: number | null;
  agency?: string | null;
}

/** Somebody who earns. */
export interface Creator {
  creator: string;
  name: string;
  country: string | null;
  plan: string;
  commission_bp: number;
  share_percent: number;
  plan_version?: number;
  agency?: string | null;
}

/** Creators in the order of their ids. */
export interface Creators {
  creators: Creator[];
  next: string | null;
}

/** Another commission for a time. */
export interface PlanEvent {
  from_ms: number;
  until_ms: number;
  commission_bp: number;
  rooms?: string[];
  videos?: string[];
  gifts?: string[];
}

/** What a commission plan says from now on. The first event that runs counts, else the gift's rate, else the plan's. */
export interface PlanBody {
  commission_bp?: number | null;
  agency_bp?: number;
  gifts?: Record<string, number>;
  events?: PlanEvent[];
}

/** One version of a commission plan. Records of gifts name the one that divided them. */
export interface Plan {
  plan: string;
  version: number;
  made_by: string;
  made_at_ms: number;
  commission_bp: number | null;
  agency_bp: number;
  gifts: Record<string, number>;
  events: PlanEvent[];
}

/** The newest version of each plan, by name. */
export interface Plans {
  plans: Plan[];
  next: string | null;
}

/** Make a room, or give it to this creator. */
export interface RoomBody {
  creator: string;
  title?: string | null;
}

/** A room as the operator sees it. */
export interface AdminRoom {
  room: string;
  title: string;
  creator: string;
  creator_name: string;
  commission_bp: number;
}

/** Rooms in the order of their names. */
export interface AdminRooms {
  rooms: AdminRoom[];
  next: string | null;
}

/** Make a recorded video known, or give it to this creator. */
export interface VideoBody {
  creator: string;
  title?: string | null;
}

/** A recorded video as the operator sees it. */
export interface AdminVideo {
  video: string;
  title: string;
  creator: string;
  creator_name: string;
  commission_bp: number;
}

/** Videos in the order of their names. */
export interface AdminVideos {
  videos: AdminVideo[];
  next: string | null;
}

/** A package with its price in the stores, by currency, in minor units. */
export interface AdminPackage {
  id: string;
  coins: number;
  in_app_price_minor: Record<string, number>;
}

/** Coins for less, or more coins. */
export interface AdminPromotion {
  id: string;
  discount_bp: number;
  bonus_bp: number;
  bonus_coins: number;
  first_purchase: boolean;
  starts: string | null;
  ends: string | null;
  countries: string[];
  platforms: string[];
  packages: string[];
}

/** The catalogue as the operator wrote it. */
export interface AdminCatalog {
  catalog: Catalog;
  packages: AdminPackage[];
  promotions: AdminPromotion[];
  web_discount_bp: number;
}

/** What is noted with a step of a withdrawal; the creator can read it. */
export interface StepBody {
  note?: string;
}

/** One movement of an account. */
export interface AccountEntry {
  number: number;
  id: string;
  at_ms: number;
  recorded_at_ms: number | null;
  cause: string;
  amount: number;
  balance_after: number;
}

/** An account at a time. */
export interface Account {
  kind: "agency" | "agency_matured" | "available" | "coins_charged" | "coins_granted" | "coins_held" | "coins_reversed" | "coins_sold" | "commission" | "commission_returned" | "discount" | "issuance" | "paid_out" | "payout_funds" | "payout_hold" | "pending" | "redeemed" | "residue" | "residue_returned" | "spent" | "wallet";
  owner: string;
  unit: string;
  partition: number;
  at_ms: number;
  balance: number;
  entries: AccountEntry[];
  next: number | null;
}

/** One invariant, looked at over everything that is stored. */
export interface AuditInvariant {
  id: string;
  title: string;
  ok: boolean;
  checked: number;
  violations: string[];
}

/** All invariants. */
export interface Audit {
  ok: boolean;
  checked_at_ms: number;
  invariants: AuditInvariant[];
  units: Record<string, Record<string, number>>;
}

/** What a payment provider said, signed, and no purchase could use: money may have been taken for nothing. */
export interface UnusableEvent {
  rail: string;
  event: string;
  purchase: string;
  outcome: string;
  amount_minor: number;
  currency: string;
  effect: "unknown_purchase" | "wrong_amount";
  at_ms: number;
}

/** Those that nobody has put aside, newest first. */
export interface UnusableEvents {
  events: UnusableEvent[];
}

/** Put an event aside. */
export interface LookedBody {
  event: string;
  note: string;
}

/** Freeze or thaw a user as a viewer. */
export interface UserBody {
  frozen: boolean;
  reason?: string | null;
}

/** Tell what is known of a user's age, country and guardian. Absent stays as it is, null is not known any more. */
export interface AgeBody {
  birth_date?: string | null;
  age_at_least?: number | null;
  country?: string | null;
  guardian?: string | null;
}

/** What is known of a user's age, country and guardian. */
export interface UserAge {
  birth_date: string | null;
  age_at_least: number | null;
  country: string | null;
  guardian: string | null;
  guardian_since_ms: number | null;
}

/** What is known of a user: as a viewer, and as a creator where it is one. */
export interface User {
  user: string;
  balance_coins: number;
  entries: WalletEntry[];
  purchases: Purchase[];
  creator: Creator | null;
  frozen: boolean;
  frozen_reason: string | null;
  limits: SpendLimits;
  age: UserAge;
}

/** A viewer of the demo, with some coins to give. */
export interface Guest {
  token: string;
  user: string;
  room: string;
}

/** The demo's creator, for the studio page. */
export interface Studio {
  token: string;
  creator: string;
  room: string;
}

/** What the sandbox's buyer does. */
export interface DemoPaymentBody {
  outcome?: "declined" | "expired" | "paid";
}
