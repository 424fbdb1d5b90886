// The studio of whoever earns: the token's role says whether it is a creator's or an agency's. Each card reads by itself.

import { isOld } from "../core/latest.ts";
import { bearerOf } from "../core/token.ts";
import { moment } from "../core/words.ts";
import { Api, wordsFor } from "../net/api.ts";
import { h, icon } from "../page/dom.ts";
import { demoIdentity, keptToken } from "../page/identity.ts";
import type { Studio } from "../wire_http.ts";
import { agencyStudio } from "./agency.ts";
import { creatorStudio } from "./creator.ts";
import type { View } from "./payee.ts";

const STUDIO_KEY = "giftwire.studio";
const TOKEN_KEY = "giftwire.studio.token";
const REFRESH_MS = 4_000;

const cover = h("p", { class: "cover muted", role: "status" }, "One moment…");
const notice = h("p", { class: "notice hidden", role: "status" });
document.body.append(cover);
begin().catch((error: unknown) => {
  console.error(error);
  cover.textContent = wordsFor(error);
});

async function begin(): Promise<void> {
  let token = keptToken(TOKEN_KEY);
  const api = new Api(() => token);
  if (token === null) {
    const studio = await demoIdentity<Studio>(api, "/v1/demo/studio", STUDIO_KEY);
    if (studio === null) {
      cover.textContent = "Open this page with a creator's or an agency's token: /studio#token=…";
      return;
    }
    token = studio.token;
  }
  try {
    await build(api, token);
  } catch (error) {
    forget();
    throw error;
  }
}

async function build(api: Api, token: string): Promise<void> {
  const bearer = bearerOf(token);
  if (bearer !== null && bearer.role !== "creator" && bearer.role !== "agency") {
    forget();
    cover.textContent = `The studio is for creators and agencies. This token is for the role ${bearer.role}.`;
    return;
  }
  // A token that cannot be read is no good: the server says so.
  const view = bearer?.role === "agency" ? await agencyStudio(api, bearer.name) : await creatorStudio(api);
  cover.replaceWith(
    h(
      "header",
      { class: "head" },
      h("a", { class: "brand", href: "/studio" }, icon("gift", 26), h("span", {}, "Giftwire Studio")),
      h("div", { class: "grow" }),
      h("span", { class: "muted who" }, view.name),
    ),
    h("main", { class: "studio" }, notice, ...view.parts),
  );
  keepUp(view);
}

/** Read anew while somebody looks. What could not be read is said, and what stands there is not called the present. */
function keepUp(view: View): void {
  let readMs = Date.now();
  let why = "";

  function tell(): void {
    const old = isOld(readMs, Date.now(), why !== "");
    document.body.classList.toggle("old", old);
    notice.classList.toggle("hidden", !old);
    notice.textContent = old ? `These amounts were read ${moment(readMs, Date.now())} and may have changed since. ${why}`.trim() : "";
  }

  async function refresh(): Promise<void> {
    if (document.hidden) return;
    tell();
    const askedMs = Date.now();
    try {
      await view.refresh();
      if (askedMs < readMs) return;
      readMs = askedMs;
      why = "";
    } catch (error) {
      if (askedMs < readMs) return;
      why = wordsFor(error);
    }
    tell();
  }

  setInterval(() => void refresh(), REFRESH_MS);
  document.addEventListener("visibilitychange", () => void refresh());
}

function forget(): void {
  sessionStorage.removeItem(STUDIO_KEY);
  sessionStorage.removeItem(TOKEN_KEY);
}
