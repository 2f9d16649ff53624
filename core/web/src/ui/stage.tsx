// The middle of the page: tabs over one terminal to work in, or all terminals to watch.

import type { App } from "../app";
import { everyone, findAgent, label, needOf, titleOf } from "../lookup";
import type { Session } from "../session";
import { markOf } from "../words";
import { Ending } from "./ending";
import { KeyBar } from "./keybar";
import { Mount } from "./mount";
import { SearchBar } from "./searchbar";

export function Stage({ app }: { app: App }) {
  const grid = app.layout === "grid";
  // In the order of the list; whoever was removed meanwhile comes last.
  const places = new Map(everyone(app.link.state).map(({ agent }, place) => [agent.id, place]));
  const place = (id: string) => places.get(id) ?? places.size;
  const sessions = [...app.sessions].sort(([one], [other]) => place(one) - place(other));
  return (
    <div class={`stage ${grid ? "grid" : "single"}`}>
      {!grid && <Tabs app={app} />}
      {!grid && app.searching && app.currentSession && <SearchBar app={app} session={app.currentSession} />}
      <div class="panes">
        {sessions.map(([id, session]) => <Pane key={id} app={app} id={id} session={session} grid={grid} />)}
      </div>
      {!grid && app.currentSession && <KeyBar session={app.currentSession} />}
    </div>
  );
}

function Tabs({ app }: { app: App }) {
  return (
    <ul class="tabs" aria-label="Open terminals">
      {[...app.tabs].map((id) => {
        const found = findAgent(app.link.state, id);
        const mark = found && markOf(found.agent);
        const name = found?.agent.name ?? (app.sessions.get(id)?.screen.label ?? "").replace(/^.*\//, "");
        return (
          <li class={`tab ${app.current === id ? "current" : ""}`} key={id}>
            <button
              type="button" class="to" {...(app.current === id ? { "aria-current": "page" } : {})}
              title={found ? `${label(found.agent)} · ${titleOf(app.link.state, found.workspace)}` : ""} onClick={() => app.go(id)}
            >
              <span class={`mark ${mark?.tone ?? "calm"}`} aria-hidden="true">{mark?.symbol ?? "○"}</span>
              <span class="label">{name}</span>
              <span class="visually-hidden">, {mark?.word ?? "removed"}</span>
            </button>
            <button type="button" class="close" aria-label={`Close the tab of ${name}`} onClick={() => app.closeTab(id)}>×</button>
          </li>
        );
      })}
    </ul>
  );
}

function Pane({ app, id, session, grid }: { app: App; id: string; session: Session; grid: boolean }) {
  const found = findAgent(app.link.state, id);
  const shown = grid || app.current === id;
  const mark = found && markOf(found.agent);
  return (
    <section
      id={`pane-${id}`} class={`pane ${shown ? "" : "hidden"} ${session.status} ${found && needOf(found.agent) ? "needy" : ""}`} data-agent={id}
      aria-label={found ? label(found.agent) : `${session.screen.label}, removed`}
    >
      {grid && found && mark && (
        <button type="button" class="caption" onClick={() => app.go(id)}>
          <span class={`mark ${mark.tone}`} aria-hidden="true">{mark.symbol}</span>
          <strong>{found.agent.name}</strong>
          <span class={`state ${mark.tone}`}>{mark.word}</span>
          <span class="details">{titleOf(app.link.state, found.workspace)}</span>
        </button>
      )}
      <Mount session={session} role={shown ? (grid ? "tile" : "window") : null} />
      {!grid && shown && found?.agent.state === "running" && session.status === "live" && session.screen.foreign && (
        <p class="foreign">Another window sets the size. Type here to take it over.</p>
      )}
      {!grid && shown && <Ending app={app} agent={found?.agent ?? null} session={session} />}
    </section>
  );
}
