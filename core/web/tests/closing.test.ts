import assert from "node:assert/strict";
import { test } from "node:test";
import { classifyClose, type Closing } from "../src/closing";

const TABLE: [code: number, opened: boolean, meaning: Closing, why: string][] = [
  [1000, true, "away", "nobody ends a terminal's line politely but the Tower that goes"],
  [1001, true, "away", "the Tower goes away"],
  [1005, true, "away", "no word at all"],
  [1006, true, "away", "the line broke"],
  [1006, false, "gone", "the upgrade was refused, or nobody listens; the state will tell"],
  [1011, true, "away", "something went wrong in the Tower"],
  [1012, true, "away", "a restart"],
  [1013, true, "later", "the holder does not answer"],
  [1013, false, "later", "the same before it ever opened"],
  [1008, true, "gone", "what was asked for does not fit"],
  [4401, true, "sign-in", "the cookie is no good"],
  [4401, false, "sign-in", "the same"],
  [4403, true, "gone", "forbidden is final"],
  [4404, true, "gone", "no such terminal"],
  [4404, false, "gone", "the same"],
  [4410, true, "gone", "it was there"],
  [4499, true, "gone", "any 4xx is the Tower's last word"],
  [4500, true, "away", "a 5xx is not"],
  [3000, true, "away", "unknown codes are worth another try"],
];

for (const [code, opened, meaning, why] of TABLE) {
  test(`${code}${opened ? "" : " before it opened"} means ${meaning}: ${why}`, () => {
    assert.equal(classifyClose(code, opened), meaning);
  });
}
