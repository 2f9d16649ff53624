// The top of the page: how the Tower is, the palette, and how much is seen at once.

import type { App } from "../app";
import { notifying, toggleNotifying } from "../attention";
import { everyone, needOf } from "../lookup";

export function Header({ app }: { app: App }) {
  const { link } = app;
  const live = link.status === "live";
  const waiting = everyone(link.state).filter(({ agent }) => needOf(agent) !== null).length;
  const bell = notifying();
  return (
    <header>
      <button
        class="icon menu" type="button" aria-label={waiting ? `Agents, ${waiting} ${waiting === 1 ? "needs" : "need"} you` : "Agents"}
        aria-expanded={app.menu} onClick={() => { app.menu = !app.menu; app.changed(); }}
      >
        ☰{waiting > 0 && <span class="badge" aria-hidden="true">{waiting}</span>}
      </button>
      <h1>afx</h1>
      <p class={`tower ${live ? "good" : "ask"}`} role="status" data-tower={link.status}>
        <span aria-hidden="true">{live ? "●" : "◌"}</span>
        <span class="word">{live ? "Tower" : "Reconnecting…"}</span>
      </p>
      <button class="search" type="button" onClick={() => app.open({ kind: "palette" })}>
        <span>Search and commands</span><kbd>Ctrl K</kbd>
      </button>
      <nav aria-label="View">
        <button
          type="button" class="icon" aria-label="All terminals at a glance" title="All terminals at a glance"
          aria-pressed={app.layout === "grid"} onClick={() => app.toggleGrid()}
        >▦</button>
        {bell !== "impossible" && (
          <button
            type="button" class="icon" aria-pressed={bell === "on"}
            aria-label="Notify me when an agent needs me" title="Notify me when an agent needs me"
            onClick={() => void toggleNotifying(app)}
          >{bell === "on" ? "◉" : "◎"}</button>
        )}
        <button
          type="button" class="icon" aria-label="Keys" title="Keys" onClick={() => app.open({ kind: "keys" })}
        >?</button>
      </nav>
    </header>
  );
}
