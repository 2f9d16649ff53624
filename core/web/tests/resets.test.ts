import assert from "node:assert/strict";
import { test } from "node:test";
import { Resets, START_OVER } from "../src/resets";

const bytes = (text: string) => new TextEncoder().encode(text);

function through(...pieces: string[]): string {
  const resets = new Resets();
  return pieces.map((piece) => new TextDecoder().decode(resets.replace(bytes(piece)))).join("");
}

const TABLE: [pieces: string[], becomes: string, why: string][] = [
  [["plain"], "plain", "there is none"],
  [["one\x1bctwo"], `one${START_OVER}two`, "it stands in the middle"],
  [["\x1bc"], START_OVER, "there is nothing else"],
  [["\x1bc\x1bcx\x1bc"], `${START_OVER}${START_OVER}x${START_OVER}`, "there are several"],
  [["one\x1b", "ctwo"], `one\x1b${START_OVER}two`, "it is cut in two: what was begun is ended by the next ESC"],
  [["one\x1b", "", "ctwo"], `one\x1b${START_OVER}two`, "a piece in between is empty"],
  [["one\x1b", "[mc", "c"], "one\x1b[mcc", "another sequence is cut in two"],
  [["\x1b[c\x1b[2Jc"], "\x1b[c\x1b[2Jc", "other sequences have a c"],
  [["\x1b\x1bc"], `\x1b${START_OVER}`, "an ESC begins anew after an ESC"],
  [["é\x1bcü"], `é${START_OVER}ü`, "other letters stay whole"],
];

for (const [pieces, becomes, why] of TABLE) {
  test(`${JSON.stringify(pieces)}: ${why}`, () => assert.equal(through(...pieces), becomes));
}

test("what has no reset in it is handed on as it is, not copied", () => {
  const data = bytes("much output");
  assert.equal(new Resets().replace(data), data);
});

test("what was begun is forgotten where the output begins anew", () => {
  const resets = new Resets();
  resets.replace(bytes("one\x1b"));
  resets.forget();
  assert.deepEqual(resets.replace(bytes("cat")), bytes("cat"));
});
