// Who looks at the page. In the demo a token is made for each window; else it comes behind `#`, which is never sent.

import { type Api, Problem } from "../net/api.ts";

/** Take `token=` out of the address's fragment, and the fragment out of the address, so that nobody copies it. */
export function tokenFromFragment(keep = false): string | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (token !== null && !keep) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

/** The token of the address, kept for this window alone under `key`, so that it survives a reload although the address forgets it. */
export function keptToken(key: string): string | null {
  const given = tokenFromFragment();
  if (given !== null) sessionStorage.setItem(key, given);
  return given ?? sessionStorage.getItem(key);
}

/** What the demo gives out, kept for this window alone. Null where the server is no demo. */
export async function demoIdentity<Identity>(api: Api, path: string, key: string): Promise<Identity | null> {
  const stored = sessionStorage.getItem(key);
  if (stored !== null) return JSON.parse(stored) as Identity;
  try {
    const identity = await api.post<Identity>(path, {});
    sessionStorage.setItem(key, JSON.stringify(identity));
    return identity;
  } catch (error) {
    if (error instanceof Problem && (error.document.status === 404 || error.document.status === 405)) return null;
    throw error;
  }
}
