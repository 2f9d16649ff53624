import assert from "node:assert/strict";
import { test } from "node:test";
import { Output } from "../src/output";
import { Pacer } from "../src/pacer";

const KIB = 1024;

/** Outputs that share pacers whose frames are the test's; each write takes a millisecond. */
function lab() {
  const frames: (() => void)[] = [];
  const clock = { now: 0 };
  const pacer = (budget: number) => new Pacer(budget, (then) => frames.push(then), () => clock.now);
  const [foreground, background] = [pacer(6), pacer(2)];
  const done: string[] = [];
  const unsaid: (() => void)[] = [];
  const output = (name: string, worked = false, says = true) =>
    new Output(
      {
        write: (data, then) => {
          clock.now += 1;
          done.push(`${name} ${data.length / KIB}`);
          if (says) then();
          else unsaid.push(then);
        },
        isWorkedIn: () => worked,
        wrote: () => undefined,
      },
      foreground,
      background,
    );
  const frame = () => {
    for (const then of frames.splice(0)) then();
  };
  return { output, done, frame, unsaid };
}

test("floods beside share a little of each frame, and the terminal that is worked in has more", () => {
  const { output, done, frame } = lab();
  output("a").add(new Uint8Array(128 * KIB));
  output("b").add(new Uint8Array(128 * KIB));
  output("mine", true).add(new Uint8Array(320 * KIB));
  assert.equal(done.filter((one) => one !== "mine 32").length, 2);
  assert.equal(done.filter((one) => one === "mine 32").length, 6);
  frame();
  assert.equal(done.filter((one) => one !== "mine 32").length, 4);
  assert.ok(done.includes("a 32") && done.includes("b 32"));
});

test("what has to happen in between happens at its place, and what is skipped is not written", () => {
  const { output, done } = lab();
  const one = output("one", true);
  const release = one.hold();
  one.add(new Uint8Array(KIB));
  one.add(() => done.push("now"));
  one.add(new Uint8Array(2 * KIB));
  assert.deepEqual(done, []);
  one.skip();
  one.add(new Uint8Array(3 * KIB));
  release();
  assert.deepEqual(done, ["now", "one 3"]);
});

test("a terminal that is closed in its turn keeps nobody waiting", () => {
  const { output, done, frame } = lab();
  const gone = output("gone", false, false);
  gone.add(new Uint8Array(KIB));
  output("other").add(new Uint8Array(KIB));
  assert.deepEqual(done, ["gone 1"]);
  gone.close();
  frame();
  assert.deepEqual(done, ["gone 1", "other 1"]);
  gone.add(new Uint8Array(KIB));
});
