// The middle of the page: tabs over one terminal to work in, or all terminals to watch.

import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { App } from "../app";
import { everyone, findAgent, type Found, label, needOf, titleOf } from "../lookup";
import { markOf } from "../words";
import { Ending } from "./ending";
import { KeyBar } from "./keybar";
import { Mount } from "./mount";
import { SearchBar } from "./searchbar";

export function Stage({ app }: { app: App }) {
  const grid = app.layout === "grid";
  return (
    <div class={`stage ${grid ? "grid" : "single"}`}>
      {!grid && <Tabs app={app} />}
      {!grid && app.searching && app.currentSession && <SearchBar app={app} session={app.currentSession} />}
      <div class="panes">{placed(app, grid).map((id) => <Pane key={id} app={app} id={id} grid={grid} />)}</div>
      {!grid && app.currentSession && <KeyBar session={app.currentSession} />}
    </div>
  );
}

/** The agents that have a place, in the order of the list; those that were removed meanwhile come last. */
function placed(app: App, grid: boolean): string[] {
  const all = everyone(app.link.state);
  const listed = all.filter(({ agent }) => app.sessions.has(agent.id) || (grid && agent.terminal !== null));
  const removed = [...app.sessions.keys()].filter((id) => !all.some(({ agent }) => agent.id === id));
  return [...listed.map(({ agent }) => agent.id), ...removed];
}

function Tabs({ app }: { app: App }) {
  return (
    <ul class="tabs" aria-label="Open terminals">
      {[...app.tabs].map((id) => {
        const found = findAgent(app.link.state, id);
        const mark = found && markOf(found.agent);
        const name = found ? tabName(app, found) : (app.sessions.get(id)?.screen.label ?? "").replace(/^.*\//, "");
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

/** What a tab is called: the agent's name, and so much more that no other tab is called so. */
function tabName(app: App, { agent, workspace }: Found): string {
  const { state } = app.link;
  const namesakes = [...app.tabs]
    .map((id) => findAgent(state, id))
    .filter((other) => other !== null && other.agent.id !== agent.id && other.agent.name === agent.name);
  const kind = namesakes.some((other) => other?.workspace.path === workspace.path) ? label(agent) : agent.name;
  return namesakes.some((other) => other?.workspace.path !== workspace.path) ? `${kind} · ${titleOf(state, workspace)}` : kind;
}

function Pane({ app, id, grid }: { app: App; id: string; grid: boolean }) {
  const session = app.sessions.get(id);
  const found = findAgent(app.link.state, id);
  const shown = grid || app.current === id;
  const mark = found && markOf(found.agent);
  const pane = useWatched(app, id, grid);
  return (
    <section
      id={`pane-${id}`} class={`pane ${shown ? "" : "hidden"} ${session?.status ?? ""} ${found && needOf(found.agent) ? "needy" : ""}`} data-agent={id}
      aria-label={found ? label(found.agent) : `${session?.screen.label ?? ""}, removed`} ref={pane}
      // Those who use no pointer have the button in it.
      {...(grid ? { onClick: () => app.go(id) } : {})}
    >
      {grid && found && mark && (
        <button type="button" class="caption">
          <span class={`mark ${mark.tone}`} aria-hidden="true">{mark.symbol}</span>
          <strong>{found.agent.name}</strong>
          <span class={`state ${mark.tone}`}>{mark.word}</span>
          <span class="details">{titleOf(app.link.state, found.workspace)}</span>
        </button>
      )}
      {session && <Mount session={session} role={shown ? (grid ? "tile" : "window") : null} />}
      {!grid && shown && session?.status === "live" && found?.agent.state === "running" && session.screen.foreign && (
        <p class="foreign">Another window sets the size. Type here to take it over.</p>
      )}
      {!grid && shown && session && <Ending app={app} agent={found?.agent ?? null} session={session} />}
    </section>
  );
}

// Whoever scrolls by quickly looks at none of them; whoever scrolls back soon finds them as they were.
const LOOKED_AT_MS = 100;
const LEFT_MS = 2000;

/** Have a tile's terminal followed while the tile is in view or next to it. A hundred of them cost no more than ten. */
function useWatched(app: App, id: string, grid: boolean): RefObject<HTMLElement | null> {
  const tile = useRef<HTMLElement>(null);
  useEffect(() => {
    const { current } = tile;
    if (!grid || current === null) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const observer = new IntersectionObserver((entries) => {
      const seen = entries.at(-1)?.isIntersecting ?? false;
      clearTimeout(timer);
      timer = setTimeout(() => app.watch(id, seen), seen ? LOOKED_AT_MS : LEFT_MS);
    }, { root: current.parentElement, rootMargin: "25% 0px" });
    observer.observe(current);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
    };
  }, [app, id, grid]);
  return tile;
}
