// A new agent: where, what for, by which program.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { api, inWords, type SpawnRequest } from "../api";
import type { App } from "../app";
import { label, titleOf } from "../lookup";
import type { AgentKind, PluginRow } from "../wire";
import { Box, Buttons } from "./dialogs";
import { Prose } from "./prose";

const KINDS: readonly [AgentKind, string][] = [
  ["builder", "builds in a git worktree of its own"],
  ["architect", "plans, in the repository itself"],
  ["shell", "a plain shell"],
];

export function Spawn({ app, workspace }: { app: App; workspace: string | undefined }) {
  const workspaces = app.link.state?.workspaces ?? [];
  const [place, setPlace] = useState(workspace ?? workspaces[0]?.path ?? "");
  const [kind, setKind] = useState<AgentKind>("builder");
  const [harnesses, setHarnesses] = useState<PluginRow[]>([]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const said = useRef<HTMLParagraphElement>(null);
  // On a phone it stands below what is seen of the dialog.
  useLayoutEffect(() => said.current?.scrollIntoView({ block: "nearest" }), [error]);
  useEffect(() => {
    api.plugins().then(
      (rows) => setHarnesses(rows.filter((row) => row.kind === "harness" && row.state === "active")),
      () => undefined,
    );
  }, []);

  async function spawn(form: HTMLFormElement): Promise<void> {
    const typed = new FormData(form);
    const request: SpawnRequest = { workspace: place, kind };
    for (const field of ["name", "task", "harness", "branch"] as const) {
      const text = String(typed.get(field) ?? "").trim();
      if (text) request[field] = text;
    }
    setBusy(true);
    try {
      const { agent, notes } = await api.spawn(request);
      await app.link.refresh();
      app.closeDialog();
      app.go(agent.id);
      app.say([`${label(agent)} is started.`, ...notes].join(" "));
    } catch (failure) {
      setError(inWords(failure));
      setBusy(false);
    }
  }

  return (
    <Box app={app} title="Spawn an agent">
      <form
        onSubmit={(event) => { event.preventDefault(); void spawn(event.currentTarget); }}
        // What is wrong with the one of before may be right with this one.
        onInput={() => setError("")}
      >
        <fieldset class="choices">
          <legend>Kind</legend>
          {KINDS.map(([value, does]) => (
            <label key={value}>
              <input type="radio" name="kind" value={value} checked={kind === value} onChange={() => setKind(value)} />
              <span><strong>{value}</strong><small>{does}</small></span>
            </label>
          ))}
        </fieldset>
        {kind !== "shell" && (
          <label>Task<textarea name="task" rows={4} placeholder="What it is to do" autofocus /></label>
        )}
        <div class="row">
          <label>Name<input name="name" placeholder="chosen for you" autocomplete="off" spellcheck={false} /></label>
          {workspaces.length > 1 && (
            <label>Workspace
              <select value={place} onChange={(event) => setPlace(event.currentTarget.value)}>
                {workspaces.map((one) => <option key={one.path} value={one.path}>{titleOf(app.link.state, one)}</option>)}
              </select>
            </label>
          )}
          {kind !== "shell" && (
            <label>Harness
              <select name="harness">
                <option value="">as in the settings</option>
                {harnesses.map((row) => <option key={row.name} value={row.name}>{row.name}</option>)}
              </select>
            </label>
          )}
          {kind === "builder" && (
            <label>Branch<input name="branch" placeholder="builder/NAME" autocomplete="off" spellcheck={false} /></label>
          )}
        </div>
        {error && <p class="error" role="alert" ref={said}><Prose text={error} /></p>}
        <Buttons app={app}>
          <button type="submit" class="primary" disabled={busy}>{busy ? "Starting…" : "Spawn"}</button>
        </Buttons>
      </form>
    </Box>
  );
}
