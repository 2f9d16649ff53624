// What lies over the page: one dialog at a time, as the browser's own <dialog>, which keeps the focus inside.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { App } from "../app";
import { findAgent } from "../lookup";
import { SHORTCUTS } from "../shortcuts";
import { CleanUp, Resume, Stop } from "./agentdialogs";
import { Palette } from "./palette";
import { Recover } from "./recover";
import { Spawn } from "./spawn";

export function Dialogs({ app }: { app: App }) {
  const { dialog } = app;
  if (dialog === null) return null;
  switch (dialog.kind) {
    case "palette":
      return <Palette app={app} />;
    case "keys":
      return <Keys app={app} />;
    case "spawn":
      return <Spawn app={app} workspace={dialog.workspace} />;
    case "recover":
      return <Recover app={app} workspace={dialog.workspace} />;
    default: {
      const agent = findAgent(app.link.state, dialog.agent)?.agent;
      if (!agent) return null;
      const Shown = { resume: Resume, stop: Stop, cleanup: CleanUp }[dialog.kind];
      return <Shown app={app} agent={agent} />;
    }
  }
}

export function Box({ app, title, children, kind = "" }: {
  app: App; title: string; children: ComponentChildren; kind?: string;
}) {
  const box = useRef<HTMLDialogElement>(null);
  // The browser tells of an end a little later, when another dialog may be open already.
  const mine = useRef(app.dialog).current;
  const closed = () => {
    if (app.dialog === mine) app.closeDialog();
  };
  // Before the next key, which is meant for the dialog already.
  useLayoutEffect(() => {
    box.current?.showModal();
  }, []);
  return (
    <dialog
      ref={box} class={kind} aria-label={title} onClose={closed}
      onClick={(event) => { if (event.target === box.current) box.current?.close(); }}
    >
      <div class="box">
        {kind !== "palette" && <h2>{title}</h2>}
        {children}
      </div>
    </dialog>
  );
}

export function Buttons({ app, children }: { app: App; children?: ComponentChildren }) {
  return (
    <div class="buttons">
      <button type="button" onClick={app.closeDialog}>Cancel</button>
      {children}
    </div>
  );
}

function Keys({ app }: { app: App }) {
  return (
    <Box app={app} title="Keys">
      <dl class="keys">
        {SHORTCUTS.map(([keys, does]) => (
          <div key={keys}><dt><kbd>{keys}</kbd></dt><dd>{does}</dd></div>
        ))}
      </dl>
      <p class="muted">All other keys go to the terminal.</p>
      <div class="buttons"><button type="button" class="primary" onClick={app.closeDialog}>Close</button></div>
    </Box>
  );
}
