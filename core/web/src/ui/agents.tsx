// The list on the left: every workspace and its agents, with what a glance has to tell.

import type { App } from "../app";
import { isDown } from "../endings";
import { label, needOf, titleOf } from "../lookup";
import { ago, markOf } from "../words";
import type { AgentView, WorkspaceView } from "../wire";

export function Agents({ app }: { app: App }) {
  const workspaces = app.link.state?.workspaces ?? [];
  return (
    <aside class="agents" aria-label="Agents">
      {workspaces.length === 0 && <p class="none">No workspaces yet.</p>}
      {workspaces.map((workspace) => <Workspace key={workspace.path} app={app} workspace={workspace} />)}
      <Troubles app={app} />
    </aside>
  );
}

function Workspace({ app, workspace }: { app: App; workspace: WorkspaceView }) {
  const title = titleOf(app.link.state, workspace);
  const down = workspace.agents.filter((agent) => agent.state === "lost" || agent.state === "crashed").length;
  return (
    <section>
      <div class="workspace">
        <h2 title={workspace.path}>{title}</h2>
        {down > 0 && (
          <button
            type="button" class="quiet" onClick={() => app.open({ kind: "recover", workspace: workspace.path })}
          >Recover {down}</button>
        )}
        <button
          type="button" class="icon small" aria-label={`Spawn an agent in ${title}`} title="Spawn an agent"
          onClick={() => app.open({ kind: "spawn", workspace: workspace.path })}
        >+</button>
      </div>
      <ul>
        {workspace.agents.map((agent) => <Agent key={agent.id} app={app} agent={agent} />)}
        {workspace.agents.length === 0 && <li class="none">No agents yet.</li>}
      </ul>
    </section>
  );
}

function Agent({ app, agent }: { app: App; agent: AgentView }) {
  const mark = markOf(agent);
  const need = needOf(agent);
  const last = agent.terminal?.last_output_at ?? null;
  const kind = agent.kind === "architect" ? agent.kind : null;
  const details = [kind, agent.harness ?? "shell", agent.branch, isDown(agent.state) ? null : ago(last, Date.now() / 1000)];
  return (
    <li>
      <button
        type="button" class={`agent ${need ? "needy" : ""}`} title={[label(agent), agent.branch, agent.reason || agent.task].filter(Boolean).join("\n")}
        {...(app.current === agent.id ? { "aria-current": "page" } : {})} onClick={() => app.go(agent.id)}
      >
        <span class={`mark ${mark.tone}`} aria-hidden="true">{mark.symbol}</span>
        <span class="name"><span class="visually-hidden">{agent.kind} </span>{agent.name}</span>
        <span class={`state ${mark.tone}`}>{mark.word}</span>
        <span class="details">{details.filter(Boolean).join(" · ")}</span>
        {agent.waiting_messages > 0 && <span class="details mail">{agent.waiting_messages} to deliver</span>}
      </button>
    </li>
  );
}

function Troubles({ app }: { app: App }) {
  const { orphans = [], plugins = [] } = app.link.state ?? {};
  if (!orphans.length && !plugins.length) return null;
  return (
    <section class="troubles">
      <h2>Troubles</h2>
      <ul>
        {orphans.map((orphan) => <li key={orphan.terminal_id}>A terminal without an agent: {orphan.note}</li>)}
        {plugins.map((plugin, place) => (
          <li key={place}>
            Plugin {plugin.name} is {plugin.state}
            {plugin.since !== null && `, since ${new Date(plugin.since * 1000).toLocaleString()}`}: {plugin.error} {plugin.hint}
          </li>
        ))}
      </ul>
    </section>
  );
}
