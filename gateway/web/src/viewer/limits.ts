// A viewer's own limits on spending: what holds, what is spent, what waits, and a form to change one's own.

import { beside, changes, effectOf, PERIODS, used, type Period, type Wish } from "../core/limits.ts";
import { LIMIT_WORDS, refusal } from "../core/refusals.ts";
import { coins, listed, moment } from "../core/words.ts";
import { type Api, wordsFor } from "../net/api.ts";
import { dialog, h } from "../page/dom.ts";
import { toast } from "../page/toasts.ts";
import { AMOUNT_MAX } from "../wire.ts";
import type { RefusedByAge, SpendLimit, SpendLimits } from "../wire_http.ts";

const PATH = "/v1/me/limits";
const TITLES: Record<Period, string> = { gift: "One gift", day: "A day", week: "A week", month: "A month" };

export interface LimitsPage {
  open(): void;
}

interface Field {
  element: HTMLElement;
  input: HTMLInputElement;
  show(limit: SpendLimit, needed: boolean): void;
}

export function limitsPage(api: Api): LimitsPage {
  let limits: SpendLimits | null = null;
  const fields = new Map(PERIODS.map((period) => [period, field(period, { changed: () => judge(), keep: (own) => void change(new Map([[period, own]])) })]));
  const notice = h("p", { class: "notice hidden" });
  const save = h("button", { class: "primary", type: "submit", disabled: true }, "Save");
  const form = h(
    "form",
    { class: "limits", on: { submit: (event) => (event.preventDefault(), void change(wishes())) } },
    ...[...fields.values()].map((each) => each.element),
    h("div", { class: "row" }, h("span", { class: "muted small" }, "Weeks begin on Monday; days end at 00:00 UTC."), save),
  );
  const status = h("div", { class: "muted", role: "status" });
  const box = dialog(
    "Your spending limits",
    "limitsbox",
    h("p", { class: "muted small" }, "A lower limit holds at once. A higher one, or none, waits first: 24 hours, unless the operator chose another time. An empty field is no limit of your own."),
    status,
    notice,
    form,
  );
  document.body.append(box);

  async function load(): Promise<void> {
    form.classList.toggle("hidden", limits === null);
    status.textContent = limits === null ? "One moment…" : "";
    try {
      show(await api.get<SpendLimits>(PATH));
      status.textContent = "";
    } catch (error) {
      limits = null;
      form.classList.add("hidden");
      status.replaceChildren(h("p", {}, wordsFor(error)), h("button", { type: "button", on: { click: () => void load() } }, "Try again"));
    }
  }

  function show(now: SpendLimits): void {
    limits = now;
    const needed = now.refused?.limits_needed ?? [];
    for (const [period, each] of fields) each.show(now[period], needed.includes(period));
    notice.textContent = now.refused === null ? "" : why(now.refused);
    notice.classList.toggle("hidden", now.refused === null);
    form.classList.remove("hidden");
    judge();
    const first = PERIODS.find((period) => needed.includes(period));
    if (first !== undefined) fields.get(first)!.input.focus();
  }

  /** Only what can be understood is a wish; the rest the browser points at when it is sent. */
  function wishes(): Map<Period, Wish> {
    const valid = [...fields].filter(([, { input }]) => input.validity.valid);
    return new Map(valid.map(([period, { input }]) => [period, input.value === "" ? null : input.valueAsNumber]));
  }

  function judge(): void {
    const invalid = [...fields.values()].some(({ input }) => !input.validity.valid);
    save.disabled = limits === null || (!invalid && changes(limits, wishes()) === null);
  }

  async function change(wanted: Map<Period, Wish>): Promise<void> {
    const body = limits === null ? null : changes(limits, wanted);
    if (limits === null || body === null) return;
    const later = [...wanted].filter(([period, wish]) => effectOf(limits![period], wish) === "later").map(([period]) => LIMIT_WORDS[period]!);
    box.inert = true;
    try {
      show(await api.put<SpendLimits>(PATH, body));
      toast(later.length === 0 ? "Saved. It holds from now on." : `Saved. The limit for ${listed(later)} changes after its waiting time.`, "good");
    } catch (error) {
      toast(wordsFor(error), "bad");
    } finally {
      box.inert = false;
    }
  }

  return {
    open() {
      if (!box.open) box.showModal();
      void load();
    },
  };
}

function field(period: Period, wiring: { changed: () => void; keep: (own: number) => void }): Field {
  let limit: SpendLimit | null = null;
  const [stands, anew] = [h("span", { class: "number" }), h("span", { class: "muted small" })];
  const bar = h("div", { class: "meter", "aria-hidden": "true" }, h("span", {}));
  const badge = h("span", { class: "badge hidden" }, "needed");
  const note = (name: string): HTMLElement => h("p", { class: `small ${name}`, id: `limit-${period}-${name}` });
  const [pending, effect, others] = [note("pending"), note("effect"), note("others")];
  effect.setAttribute("role", "status");
  const input = h("input", {
    type: "number", inputmode: "numeric", min: 0, max: AMOUNT_MAX, step: 1, placeholder: "No limit of your own",
    "aria-describedby": `limit-${period}-pending limit-${period}-others`,
    on: { input: () => (tell(), wiring.changed()) },
  });
  const element = h(
    "section",
    { class: "limit", "aria-label": TITLES[period] },
    h("div", { class: "row" }, h("h3", {}, TITLES[period], badge), anew),
    stands,
    bar,
    h("label", { class: "field" }, h("span", {}, "Your own limit", h("span", { class: "sr" }, ` for ${LIMIT_WORDS[period]}`), ", coins"), input),
    effect,
    pending,
    others,
  );

  /** What the typed limit would do. */
  function tell(): void {
    const wish = input.value === "" ? null : input.valueAsNumber;
    const now = limit === null || !input.validity.valid ? "same" : effectOf(limit, wish);
    effect.textContent = now === "at_once" ? "Holds as soon as you save." : now === "later" ? `Waits before it holds. Until then: ${coins(limit!.own_coins!)}.` : "";
  }

  function show(now: SpendLimit, needed: boolean): void {
    limit = now;
    const nowMs = Date.now();
    input.value = String((now.pending ? now.pending.coins : now.own_coins) ?? "");
    stands.textContent = standing(period, now);
    anew.textContent = now.resets_at_ms === null || now.spent_coins === null ? "" : `resets ${moment(now.resets_at_ms, nowMs)}`;
    const share = used(now);
    bar.classList.toggle("hidden", share === null);
    bar.classList.toggle("full", share === 1);
    bar.style.setProperty("--used", `${(share ?? 0) * 100}%`);
    badge.classList.toggle("hidden", !needed);
    others.textContent = beside(now).map(({ coins: amount, whose }) => (whose === "operator" ? `The operator's limit: ${coins(amount)}.` : `At your age: ${coins(amount)}.`)).join(" ");
    pending.replaceChildren();
    if (now.pending !== null) {
      const [own, wish] = [now.own_coins!, now.pending.coins];
      pending.append(
        h("span", {}, `${wish === null ? "No limit" : coins(wish)} from ${moment(now.pending.from_ms, nowMs).replace(/^on /, "")}; ${coins(own)} until then. `),
        h("button", { type: "button", on: { click: () => wiring.keep(own) } }, `Keep ${coins(own)}`),
      );
    }
    tell();
  }

  return { element, input, show };
}

function standing(period: Period, { coins: most, spent_coins: spent }: SpendLimit): string {
  if (period === "gift") return most === null ? "No limit." : `${coins(most)} coins at most.`;
  if (spent === null) return "No limit, and so nothing is counted.";
  return most === null ? `${coins(spent)} coins spent; no limit.` : `${coins(spent)} of ${coins(most)} coins spent.`;
}

function why({ code, age_min: age, limits_needed }: RefusedByAge): string {
  return refusal(code, "", age === null ? { limits_needed } : { age_min: age, limits_needed });
}
