import assert from "node:assert/strict";
import { test } from "node:test";
import { LONGEST_MS, LONGEST_SEEN_MS, SHORTEST_MS, pause } from "../src/backoff";

test("pauses grow, and stay within their bounds", () => {
  for (const chance of [0, 0.5, 0.999]) {
    let before = 0;
    for (let attempt = 0; attempt < 40; attempt++) {
      const now = pause(attempt, chance, false);
      assert.ok(now >= before && now >= SHORTEST_MS && now <= LONGEST_MS, `${attempt}: ${now}`);
      before = now;
    }
  }
  assert.equal(pause(40, 1, false), LONGEST_MS);
});

test("no two pages knock at the same moment", () => {
  assert.notEqual(pause(5, 0.1, false), pause(5, 0.9, false));
});

test("who looks at the page waits for less", () => {
  assert.equal(pause(40, 1, true), LONGEST_SEEN_MS);
});
