// Questions about the state that have one answer: pure, and without a browser.

import type { AgentView, StateView, WorkspaceView } from "./wire";

export interface Found { workspace: WorkspaceView; agent: AgentView }

// By these a name could be made to read as another.
const TURNING = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** What a workspace is called: its name and, where another has the same, so much of its path that they differ. */
export function titleOf(state: StateView | null, workspace: WorkspaceView): string {
  const others = (state?.workspaces ?? []).filter((one) => one.name === workspace.name && one.path !== workspace.path);
  const parts = workspace.path.split("/").slice(1);
  let title = workspace.name;
  for (let count = 2; count <= parts.length && others.length > 0; count++) {
    title = parts.slice(-count).join("/");
    if (!others.some((one) => one.path.endsWith(`/${title}`))) break;
  }
  return title.replace(TURNING, "\ufffd");
}

export const label = (agent: AgentView) => `${agent.kind}/${agent.name}`;

/** Whether an agent is one that can resume a conversation; a shell is only started again. */
export const talks = (agent: AgentView) => agent.kind !== "shell";

/** Every agent with its workspace, in the order of the state: architects first. */
export function everyone(state: StateView | null): Found[] {
  return (state?.workspaces ?? []).flatMap((workspace) => workspace.agents.map((agent) => ({ workspace, agent })));
}

export function findAgent(state: StateView | null, id: string | null): Found | null {
  return everyone(state).find(({ agent }) => agent.id === id) ?? null;
}

/** What an agent asks of the person, or null where it asks nothing. */
export type Need = "waiting" | "crashed" | "lost" | "needs-attention";

export function needOf(agent: AgentView): Need | null {
  switch (agent.state) {
    case "crashed":
    case "lost":
    case "needs-attention":
      return agent.state;
    case "running":
      return agent.doing === "waiting" ? "waiting" : null;
    default:
      return null;
  }
}

/** How a client that shows a terminal is to go on when the state says what the agent has now. */
export type Step =
  | { to: "stay" }
  | { to: "move"; terminal: string }
  | { to: "nothing" };

/** Say how to go on from the terminal that was shown. */
export function nextTerminal(agent: AgentView | null, shown: string | null): Step {
  const terminal = agent?.terminal ?? null;
  if (terminal === null) return { to: "nothing" };
  return terminal.id === shown ? { to: "stay" } : { to: "move", terminal: terminal.id };
}
