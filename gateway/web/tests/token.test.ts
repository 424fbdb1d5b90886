// What a page reads of a token, to choose what it shows.

import assert from "node:assert/strict";
import { test } from "node:test";

import { bearerOf } from "../src/core/token.ts";

const token = (claims: unknown): string => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

test("a token tells role and name, and the user where it has no name", () => {
  assert.deepEqual(bearerOf(token({ sub: "north", role: "agency", name: "Nórðr ★" })), { role: "agency", name: "Nórðr ★" });
  assert.deepEqual(bearerOf(token({ sub: "ada", role: "creator", name: " " })), { role: "creator", name: "ada" });
});

test("what is no token of ours is nobody's", () => {
  const foreign = [{ sub: "ada", role: "king" }, { role: "creator" }, { sub: 7, role: "creator" }, null, []];
  for (const claims of foreign) assert.equal(bearerOf(token(claims)), null);
  for (const text of ["", "a.b.c", "e30", "..", "a.%%%.c"]) assert.equal(bearerOf(text), null);
});
