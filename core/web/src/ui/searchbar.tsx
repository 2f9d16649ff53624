// Search in one terminal's output.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { App } from "../app";
import type { Session } from "../session";

export function SearchBar({ app, session }: { app: App; session: Session }) {
  const field = useRef<HTMLInputElement>(null);
  const [missing, setMissing] = useState(false);
  useLayoutEffect(() => field.current?.focus(), [session]);
  const find = (back: boolean) => {
    const text = field.current?.value ?? "";
    setMissing(text !== "" && !session.screen.search[back ? "findPrevious" : "findNext"](text));
  };
  const close = () => {
    app.searching = false;
    session.screen.search.clearDecorations();
    app.changed();
    session.focus();
  };
  return (
    <form
      class="searchbar" role="search"
      onSubmit={(event) => { event.preventDefault(); find(true); }}
      onKeyDown={(event) => { if (event.key === "Escape") close(); }}
    >
      <input
        ref={field} type="search" aria-label="Search in the terminal" placeholder="Search in the terminal"
        aria-invalid={missing} onInput={() => setMissing(false)}
      />
      <span class="visually-hidden" role="status">{missing && "Nothing found."}</span>
      <button type="submit" aria-label="Further up">↑</button>
      <button type="button" aria-label="Further down" onClick={() => find(false)}>↓</button>
      <button type="button" aria-label="Close the search" onClick={close}>×</button>
    </form>
  );
}
