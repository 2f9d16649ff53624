// The address of an agent in the page: `#/WORKSPACE/KIND/NAME`. A workspace goes by its name, or by its path
// where two have the same name.

import { everyone, type Found } from "./lookup";
import type { AgentView, StateView, WorkspaceView } from "./wire";

export function addressOf(state: StateView, workspace: WorkspaceView, agent: AgentView): string {
  const namesakes = state.workspaces.filter((other) => other.name === workspace.name).length;
  const place = namesakes > 1 ? workspace.path : workspace.name;
  return `#/${encodeURIComponent(place)}/${agent.kind}/${encodeURIComponent(agent.name)}`;
}

/** Find the agent that an address means; the kind may be left out where one name has one agent. */
export function agentAt(state: StateView, hash: string): Found | null {
  const parts = hash.replace(/^#\/?/, "").split("/").map(decode);
  const [place, ...rest] = parts;
  const name = rest.pop();
  const kind = rest.pop();
  if (!place || !name) return null;
  const found = everyone(state).filter(
    ({ workspace, agent }) =>
      (workspace.name === place || workspace.path === place) &&
      agent.name === name && (kind === undefined || agent.kind === kind),
  );
  return found[0] ?? null;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
