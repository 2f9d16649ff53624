import assert from "node:assert/strict";
import { test } from "node:test";
import { endingOf, type End } from "../src/endings";
import type { SessionStatus } from "../src/session";
import type { AgentKind, AgentState, AgentView, TerminalView } from "../src/wire";

/** Who it is: a shell, or an agent with a conversation, without one but with a task, with neither. */
type Who = "shell" | "talks" | "tasked" | "silent";
/** Whether its terminal is there and connected, or gone. */
type Where = "here" | "gone";

const STATES: readonly AgentState[] = [
  "running", "exited", "crashed", "stopped", "unreachable", "lost", "needs-attention",
];
const WHO: Record<Who, readonly AgentKind[]> = {
  shell: ["shell"], talks: ["architect", "builder"], tasked: ["architect", "builder"], silent: ["architect", "builder"],
};
const WHERE: readonly Where[] = ["here", "gone"];

const TERMINAL: TerminalView = {
  id: "t", state: "exited", size: { cols: 80, rows: 24 }, started_at: 0, last_output_at: null, exit: null,
  predecessors: [],
};

function agent(state: AgentState, kind: AgentKind, who: Who, where: Where, more: Partial<AgentView> = {}): AgentView {
  return {
    id: "a", kind, name: "fix", harness: kind === "shell" ? null : "claude", state, reason: "Because", cwd: "/", branch: null,
    spawned_by: null, task: who === "tasked" || who === "talks" ? "Fix it" : null, created_at: 0, waiting_messages: 0,
    conversation: who === "talks" ? { id: "c", source: "minted" } : null,
    terminal: where === "here" ? TERMINAL : null, ...more,
  };
}

const REFUSED = { action: "refuse", why: "The directory it works in is gone" } as const;

const status = (where: Where): SessionStatus => (where === "here" ? "live" : "gone");

const KEYLESS = "Keys do nothing here any more.";
const KEPT = `${KEYLESS} Its conversation is kept.`;
const TASK = `${KEYLESS} It has no conversation to go on with, and begins anew with its task.`;
const ANEW = `${KEYLESS} It has no conversation to go on with, and begins anew.`;
const ANOTHER = "Enter starts another.";
const NEW = "Enter begins a new conversation.";
const RESUME = "Resume the conversation";

// A stopped or lost agent that has a terminal is one whose end the page has not heard of yet.
const TABLE: [state: AgentState, who: Who, where: Where, title: string, then: string, button: string][] = [
  ["exited", "shell", "here", "Ended.", ANOTHER, "Start again"],
  ["exited", "shell", "gone", "Ended.", KEYLESS, "Start again"],
  ["exited", "talks", "here", "Ended.", NEW, RESUME],
  ["exited", "talks", "gone", "Ended.", KEPT, RESUME],
  ["exited", "tasked", "here", "Ended.", NEW, "Start again"],
  ["exited", "tasked", "gone", "Ended.", TASK, "Start again"],
  ["exited", "silent", "here", "Ended.", NEW, "Start again"],
  ["exited", "silent", "gone", "Ended.", ANEW, "Start again"],
  ["crashed", "shell", "here", "Crashed.", ANOTHER, "Start again"],
  ["crashed", "shell", "gone", "Crashed.", KEYLESS, "Start again"],
  ["crashed", "talks", "here", "Crashed.", NEW, RESUME],
  ["crashed", "talks", "gone", "Crashed.", KEPT, RESUME],
  ["crashed", "tasked", "here", "Crashed.", NEW, "Start again"],
  ["crashed", "tasked", "gone", "Crashed.", TASK, "Start again"],
  ["crashed", "silent", "here", "Crashed.", NEW, "Start again"],
  ["crashed", "silent", "gone", "Crashed.", ANEW, "Start again"],
  ["stopped", "shell", "here", "Stopped.", ANOTHER, "Start again"],
  ["stopped", "shell", "gone", "Stopped.", KEYLESS, "Start again"],
  ["stopped", "talks", "here", "Stopped.", NEW, RESUME],
  ["stopped", "talks", "gone", "Stopped.", KEPT, RESUME],
  ["stopped", "tasked", "here", "Stopped.", NEW, "Start again"],
  ["stopped", "tasked", "gone", "Stopped.", TASK, "Start again"],
  ["stopped", "silent", "here", "Stopped.", NEW, "Start again"],
  ["stopped", "silent", "gone", "Stopped.", ANEW, "Start again"],
  ["lost", "shell", "here", "Lost.", ANOTHER, "Start again"],
  ["lost", "shell", "gone", "Lost.", KEYLESS, "Start again"],
  ["lost", "talks", "here", "Lost.", NEW, "Bring it back"],
  ["lost", "talks", "gone", "Lost.", KEPT, "Bring it back"],
  ["lost", "tasked", "here", "Lost.", NEW, "Start again"],
  ["lost", "tasked", "gone", "Lost.", TASK, "Start again"],
  ["lost", "silent", "here", "Lost.", NEW, "Start again"],
  ["lost", "silent", "gone", "Lost.", ANEW, "Start again"],
  ["needs-attention", "shell", "here", "Needs you.", ANOTHER, "Try again"],
  ["needs-attention", "shell", "gone", "Needs you.", KEYLESS, "Try again"],
  ["needs-attention", "talks", "here", "Needs you.", NEW, "Try again"],
  ["needs-attention", "talks", "gone", "Needs you.", KEPT, "Try again"],
  ["needs-attention", "tasked", "here", "Needs you.", NEW, "Try again"],
  ["needs-attention", "tasked", "gone", "Needs you.", TASK, "Try again"],
  ["needs-attention", "silent", "here", "Needs you.", NEW, "Try again"],
  ["needs-attention", "silent", "gone", "Needs you.", ANEW, "Try again"],
  ["unreachable", "shell", "here", "No answer.", "It is asked again by itself.", ""],
  ["unreachable", "shell", "gone", "No answer.", "It is asked again by itself.", ""],
  ["unreachable", "talks", "here", "No answer.", "It is asked again by itself.", ""],
  ["unreachable", "talks", "gone", "No answer.", "It is asked again by itself.", ""],
  ["unreachable", "tasked", "here", "No answer.", "It is asked again by itself.", ""],
  ["unreachable", "tasked", "gone", "No answer.", "It is asked again by itself.", ""],
  ["unreachable", "silent", "here", "No answer.", "It is asked again by itself.", ""],
  ["unreachable", "silent", "gone", "No answer.", "It is asked again by itself.", ""],
];

for (const [state, who, where, title, then, button] of TABLE) {
  for (const kind of WHO[who]) {
    test(`${kind}, ${who}, ${state}, its terminal ${where}: ${title} ${button}`, () => {
      const end = endingOf(agent(state, kind, who, where), status(where), "live");
      assert.deepEqual([end?.title, end?.why], [title, `Because. ${then}`]);
      assert.deepEqual(end?.offers, button ? [{ does: "resume", button }] : []);
    });
  }
}

test("the table is complete", () => {
  const covered = TABLE.map(([state, who, where]) => `${state} ${who} ${where}`);
  const all = STATES.filter((state) => state !== "running").flatMap((state) =>
    Object.keys(WHO).flatMap((who) => WHERE.map((where) => `${state} ${who} ${where}`)));
  assert.deepEqual(covered.toSorted(), all.toSorted());
});

for (const [session, title] of [
  ["live", undefined], ["connecting", undefined], ["away", "Reconnecting."], ["later", "Reconnecting."], ["gone", "Reconnecting."],
] as const) {
  test(`of one that runs, whose line is ${session}, ${title ?? "nothing"} is said`, () => {
    const end: End | null = endingOf(agent("running", "builder", "talks", "here"), session, "live");
    assert.equal(end?.title, title);
    assert.deepEqual(end?.offers ?? [], []);
  });
}

for (const state of STATES) {
  test(`while the Tower is away, nothing is offered for one that is ${state}`, () => {
    const end = endingOf(agent(state, "shell", "shell", "here"), "away", "away", REFUSED);
    assert.deepEqual([end?.title, end?.offers], ["Reconnecting.", []]);
  });
}

for (const state of STATES.filter((one) => one !== "running" && one !== "unreachable")) {
  test(`of one that is ${state} and cannot be started it is said why, and what else there is to do`, () => {
    const end = endingOf(agent(state, "builder", "talks", "here"), "live", "live", REFUSED);
    assert.equal(end?.why, "Because. Nothing can be started: The directory it works in is gone.");
    assert.deepEqual(end.offers.map(({ button }) => button), ["Try again", "Clean up…"]);
  });
}

for (const [who, action, then, button] of [
  ["talks", "begin", TASK, "Start again"], ["tasked", "resume", KEPT, RESUME], ["talks", "resume", KEPT, RESUME],
] as const) {
  test(`how one that ${who} comes back is told by the plan, once it is known: ${action}`, () => {
    const end = endingOf(agent("stopped", "builder", who, "gone"), "gone", "live", { action, why: "Why." });
    assert.deepEqual([end?.why, end?.offers[0]?.button], [`Because. ${then}`, button]);
  });
}

test("of one that was removed only the tab can be closed", () => {
  const end = endingOf(null, "gone", "live");
  assert.deepEqual([end?.title, end?.offers], ["Removed.", [{ does: "close", button: "Close the tab" }]]);
  assert.match(end?.why ?? "", /Keys do nothing here any more\.$/);
});

for (const [state, exit, why] of [
  ["crashed", { code: 3, signal: null, at: 0 }, "It ended with exit code 3."],
  ["crashed", { code: null, signal: 9, at: 0 }, "Signal 9 ended it."],
  ["exited", { code: 0, signal: null, at: 0 }, "Its program ended by itself."],
  ["lost", null, "Its terminal is gone."],
  ["stopped", null, ""],
] as const) {
  test(`without a reason, ${state} is told by what is known: ${why}`, () => {
    const one = agent(state, "shell", "shell", "here", { reason: "", terminal: { ...TERMINAL, exit } });
    assert.equal(endingOf(one, "live", "live")?.why, `${why} ${ANOTHER}`.trim());
  });
}
