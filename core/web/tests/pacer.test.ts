import assert from "node:assert/strict";
import { test } from "node:test";
import { Pacer } from "../src/pacer";

/** A pacer of 5 ms a frame whose frames and clock are the test's. */
function paced() {
  const frames: (() => void)[] = [];
  const clock = { now: 0 };
  const done: string[] = [];
  const pacer = new Pacer(5, (then) => frames.push(then), () => clock.now);
  const lasting = (name: string, ms: number) =>
    pacer.take((over) => {
      done.push(name);
      clock.now += ms;
      over();
    });
  return { pacer, frames, clock, done, lasting, frame: () => frames.shift()?.() };
}

test("what fits into a frame is done at once, the rest in the frames after it, in its order", () => {
  const { lasting, done, frames, frame } = paced();
  for (const name of ["a", "b", "c", "d"]) lasting(name, 3);
  assert.deepEqual(done, ["a", "b"]);
  assert.equal(frames.length, 1);
  frame();
  assert.deepEqual(done, ["a", "b", "c", "d"]);
  frame();
  assert.equal(frames.length, 0);
});

test("one turn goes on for as long as it likes, and nobody else has one meanwhile", () => {
  const { pacer, done, lasting, frame } = paced();
  let end = () => {};
  pacer.take((over) => { end = over; });
  lasting("b", 1);
  assert.deepEqual(done, []);
  end();
  end();
  lasting("c", 1);
  frame();
  assert.deepEqual(done, ["b", "c"]);
});
