// Short words at the edge of the page: what was done, and what could not be.

import type { App } from "../app";
import { Prose } from "./prose";

export function Notes({ app }: { app: App }) {
  return (
    <div class="notes" aria-live="polite">
      {app.notes.map((note) => (
        <div class={`note ${note.tone}`} key={note.id}>
          <p><Prose text={note.text} />{note.hint && <small><Prose text={note.hint} /></small>}</p>
          <button type="button" class="icon small" aria-label="Dismiss" onClick={() => app.unsay(note.id)}>×</button>
        </div>
      ))}
    </div>
  );
}
