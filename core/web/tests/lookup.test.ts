import assert from "node:assert/strict";
import { test } from "node:test";
import { needOf, nextTerminal, titleOf } from "../src/lookup";
import { addressOf, agentAt } from "../src/route";
import { markOf } from "../src/words";
import type { AgentState, AgentView, StateView, TerminalView, WorkspaceView } from "../src/wire";

const terminal: TerminalView = {
  id: "t2", state: "running", size: { cols: 80, rows: 24 }, started_at: 0, last_output_at: null, exit: null,
  predecessors: ["t1"],
};

function agent(change: Partial<AgentView> = {}): AgentView {
  return {
    id: "a", kind: "builder", name: "login", harness: "claude", state: "running", reason: "", cwd: "/w", branch: null,
    spawned_by: null, task: null, created_at: 0, waiting_messages: 0, conversation: { id: "c", source: "minted" },
    terminal, ...change,
  };
}

function state(...workspaces: WorkspaceView[]): StateView {
  return {
    version: "b:1", workspaces, orphans: [], plugins: [],
    tower: { pid: 1, version: "0", url: "", started_at: 0, home: "", host: "" },
  };
}

test("a terminal that is the agent's own is stayed with", () => {
  assert.deepEqual(nextTerminal(agent(), "t2"), { to: "stay" });
});

test("a successor is moved to, and so is the first terminal", () => {
  assert.deepEqual(nextTerminal(agent(), "t1"), { to: "move", terminal: "t2" });
  assert.deepEqual(nextTerminal(agent(), null), { to: "move", terminal: "t2" });
});

test("an agent without a terminal, or none at all, leads nowhere", () => {
  assert.deepEqual(nextTerminal(agent({ terminal: null }), "t2"), { to: "nothing" });
  assert.deepEqual(nextTerminal(null, "t2"), { to: "nothing" });
});

test("a missing word about what an agent does is no need", () => {
  assert.equal(needOf(agent()), null);
  assert.equal(needOf(agent({ doing: "unknown" })), null);
  assert.equal(needOf(agent({ doing: "waiting" })), "waiting");
  assert.equal(needOf(agent({ doing: "waiting", state: "stopped" })), null);
});

const STATES: AgentState[] = ["running", "exited", "crashed", "stopped", "unreachable", "lost", "needs-attention"];

test("every state has a word and a symbol of its own", () => {
  const marks = STATES.map((one) => markOf(agent({ state: one })));
  assert.equal(new Set(marks.map((mark) => mark.word)).size, STATES.length);
  assert.equal(new Set(marks.map((mark) => mark.symbol)).size, STATES.length);
});

test("an address leads back to its agent, whatever the names are", () => {
  const odd = agent({ name: "a/b ü#" });
  const shop: WorkspaceView = { path: "/x/shop", name: "shop", active: true, agents: [odd] };
  const namesake: WorkspaceView = { path: "/y/shop", name: "shop", active: true, agents: [agent({ id: "b" })] };
  for (const all of [state(shop), state(shop, namesake)]) {
    assert.equal(agentAt(all, addressOf(all, shop, odd))?.agent, odd);
  }
  assert.equal(agentAt(state(namesake), "#/shop/login")?.agent.id, "b");
  assert.equal(agentAt(state(shop), "#/%ZZ/login"), null);
  assert.equal(agentAt(state(shop), ""), null);
});

test("workspaces of one name are told apart by their paths, and a name is read as it is written", () => {
  const place = (path: string): WorkspaceView => ({ path, name: path.replace(/^.*\//, ""), active: true, agents: [] });
  const [one, other, third] = [place("/home/a/x/shop"), place("/home/b/x/shop"), place("/home/a/till\u202egnp")];
  assert.equal(titleOf(state(one, third), one), "shop");
  assert.equal(titleOf(state(one, other), one), "a/x/shop");
  assert.equal(titleOf(state(one, other), other), "b/x/shop");
  assert.equal(titleOf(state(third), third), "till\ufffdgnp");
});
