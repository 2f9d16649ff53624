// Search and commands: type a few letters, Enter.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { App } from "../app";
import { commands, matching, type Command } from "../commands";
import { Box } from "./dialogs";

const MOST = 60;

export function Palette({ app }: { app: App }) {
  const [typed, setTyped] = useState("");
  const [chosen, setChosen] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const found = matching(commands(app), typed).slice(0, MOST);
  const at = Math.min(chosen, Math.max(0, found.length - 1));
  const run = (command: Command | undefined) => {
    if (!command) return;
    app.closeDialog();
    command.run();
  };
  const step = (by: number) => setChosen((at + by + found.length) % Math.max(1, found.length));
  useLayoutEffect(() => list.current?.children[at]?.scrollIntoView({ block: "nearest" }), [at, typed]);
  return (
    <Box app={app} title="Search and commands" kind="palette">
      <input
        type="text" role="combobox" aria-label="Agent or command" aria-expanded="true" aria-controls="palette-list"
        aria-activedescendant={found.length ? `palette-${at}` : undefined} autocomplete="off" spellcheck={false}
        placeholder="Go to an agent, spawn, resume, stop, recover…" value={typed} autofocus
        onInput={(event) => { setTyped(event.currentTarget.value); setChosen(0); }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") step(1);
          else if (event.key === "ArrowUp") step(-1);
          else if (event.key === "Enter") run(found[at]);
          else return;
          event.preventDefault();
        }}
      />
      <ul id="palette-list" role="listbox" aria-label="Found" ref={list}>
        {found.map((command, place) => (
          <li
            key={command.title + command.detail} id={`palette-${place}`} role="option" aria-selected={place === at}
            onPointerMove={() => setChosen(place)} onClick={() => run(command)}
          ><span>{command.title}</span><small>{command.detail}</small></li>
        ))}
      </ul>
      {found.length === 0 && <p class="muted">Nothing fits.</p>}
    </Box>
  );
}
