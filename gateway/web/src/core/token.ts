// What a token says of its bearer. Only for choosing what to show: whether it is good the server alone knows.

import type { Welcome } from "../wire.ts";

export interface Bearer {
  role: Welcome["role"];
  name: string;
}

const ROLES: readonly string[] = ["agency", "creator", "operator", "overlay", "viewer"] satisfies Welcome["role"][];

/** The bearer of a JWT; null when it cannot be read. */
export function bearerOf(token: string): Bearer | null {
  try {
    const packed = token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    const { role, sub, name } = claims;
    if (typeof role !== "string" || !ROLES.includes(role) || typeof sub !== "string") return null;
    return { role: role as Bearer["role"], name: typeof name === "string" && name.trim() ? name.trim() : sub };
  } catch {
    return null;
  }
}
