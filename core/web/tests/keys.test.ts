import assert from "node:assert/strict";
import { test } from "node:test";
import { arrow, isReport, withCtrl } from "../src/keys";
import { matching, type Command } from "../src/commands";

test("Ctrl makes control characters of letters, and leaves the rest alone", () => {
  const table: [string, string][] = [["c", "\x03"], ["C", "\x03"], ["[", "\x1b"], [" ", "\0"], ["?", "\x7f"], ["é", "é"], ["ab", "ab"], ["", ""]];
  for (const [typed, sent] of table) assert.equal(withCtrl(typed), sent);
});

test("answers of the terminal are told from keys", () => {
  for (const report of ["\x1b[?1;2c", "\x1b[24;80R", "\x1b[I", "\x1b[O", "\x1b]11;rgb:0/0/0\x07"]) assert.ok(isReport(report));
  for (const keys of ["a", "\x1b", "\x1b[A", "\x1bOP", "\r", "\x1b[200~text\x1b[201~"]) assert.ok(!isReport(keys));
});

test("arrows are as the program asked for them", () => {
  assert.equal(arrow("A", false), "\x1b[A");
  assert.equal(arrow("A", true), "\x1bOA");
});

test("the palette finds by parts of words, the beginnings first", () => {
  const all: Command[] = ["builder/login", "Stop builder/login", "architect/main"].map((title) => ({ title, detail: "shop", run: () => undefined }));
  const found = (typed: string) => matching(all, typed).map((command) => command.title);
  assert.deepEqual(found("log"), ["builder/login", "Stop builder/login"]);
  assert.deepEqual(found("stop log"), ["Stop builder/login"]);
  assert.deepEqual(found("MAIN"), ["architect/main"]);
  assert.deepEqual(found("nobody"), []);
  assert.equal(found("").length, 3);
});
