// Questions about the state that have one answer: pure, and without a browser.

import type { AgentView, StateView, WorkspaceView } from "./wire";

export interface Found { workspace: WorkspaceView; agent: AgentView }

export const label = (agent: AgentView) => `${agent.kind}/${agent.name}`;

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
