// The keys of the page itself. A terminal takes all keys but these.

import type { App } from "./app";
import type { Session } from "./session";

export const SHORTCUTS: readonly [keys: string, does: string][] = [
  ["Ctrl K", "search and commands; twice: Ctrl K for the program"],
  ["Ctrl Shift ↑ / ↓", "the agent above or below"],
  ["Ctrl Shift F", "search in the terminal"],
  ["Ctrl Shift G", "all terminals at a glance, and back"],
  ["F6", "from the terminal to the list of agents, and back"],
];

/** Hear the page's keys before the terminal does. */
export function listenForKeys(app: App): void {
  window.addEventListener("keydown", (event) => {
    if (!handle(app, event)) return;
    event.preventDefault();
    event.stopPropagation();
  }, { capture: true });
}

function handle(app: App, event: KeyboardEvent): boolean {
  if (app.link.status === "signed-out") return false;
  const key = event.key.toLowerCase();
  const ctrl = (event.ctrlKey || event.metaKey) && !event.altKey;
  if (ctrl && !event.shiftKey && key === "k") {
    if (app.dialog?.kind === "palette") {
      app.closeDialog();
      if (event.ctrlKey) app.currentSession?.type("\x0b");
    } else if (app.dialog === null) {
      app.open({ kind: "palette" });
    }
    return true;
  }
  if (app.dialog !== null) return false;
  if (ctrl && event.shiftKey) {
    switch (key) {
      case "arrowup":
        app.step(-1);
        return true;
      case "arrowdown":
        app.step(1);
        return true;
      case "f":
        app.search();
        return true;
      case "g":
        app.toggleGrid();
        return true;
    }
  }
  if (key === "f6") {
    changeSides(app.currentSession);
    return true;
  }
  return false;
}

function changeSides(session: Session | null): void {
  const list = document.querySelector<HTMLElement>(".agents [aria-current]") ??
    document.querySelector<HTMLElement>(".agents button");
  if (session?.screen.host.contains(document.activeElement)) list?.focus();
  else session?.focus();
}
