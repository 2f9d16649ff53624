// What is asked of a person before something is done to one agent.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, inWords } from "../api";
import type { App } from "../app";
import { label, talks } from "../lookup";
import type { AgentView, Losses, ResumePlan } from "../wire";
import { Box, Buttons } from "./dialogs";
import { Plan } from "./plan";

interface Props { app: App; agent: AgentView }

export function Resume({ app, agent }: Props) {
  const [plan, setPlan] = useState<ResumePlan | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    api.resumePlan(agent.id).then(setPlan, (failure: unknown) => setError(inWords(failure)));
  }, [agent.id]);
  const again = !talks(agent);
  return (
    <Box app={app} title={again ? `Start ${label(agent)} again` : `Resume ${label(agent)}`}>
      {plan ? <Plan plan={plan} /> : !error && <p role="status">Looking at its conversations…</p>}
      {error && <p class="error" role="alert">{error}</p>}
      <Buttons app={app}>
        <Do
          app={app} disabled={plan === null || plan.action === "refuse" || plan.action === "wait"}
          doing={async () => {
            const { notes } = await api.resume(agent.id);
            app.go(agent.id);
            return [`${label(agent)} is back.`, ...notes].join(" ");
          }}
        >{again ? "Start again" : plan?.action === "begin" ? "Begin anew" : "Resume"}</Do>
      </Buttons>
    </Box>
  );
}

export function Stop({ app, agent }: Props) {
  return (
    <Box app={app} title={`Stop ${label(agent)}?`}>
      <p>
        Its program and its terminal are ended. It stays known{talks(agent) && ", with its conversation,"} and can be
        started again.
      </p>
      <Buttons app={app}>
        <Do
          app={app} danger doing={async () => [`${label(agent)} is stopped.`, ...(await api.stop(agent.id)).notes].join(" ")}
        >Stop it</Do>
      </Buttons>
    </Box>
  );
}

export function CleanUp({ app, agent }: Props) {
  const [losses, setLosses] = useState<Losses | null>(null);
  const [sure, setSure] = useState(false);
  const [error, setError] = useState("");
  useEffect(() => {
    api.losses(agent.id).then(setLosses, (failure: unknown) => setError(inWords(failure)));
  }, [agent.id]);
  const loses = losses !== null && losses.sentence !== "";
  return (
    <Box app={app} title={`Clean up ${label(agent)}?`}>
      <p>
        Its terminal is ended{agent.kind === "builder" && ", its worktree and the branch made for it are deleted"}, and
        it is known no more. {talks(agent) ? "Its conversations stay on disk." : "What stood on its screen is gone, too."}
      </p>
      {losses === null && !error && <p role="status">Looking for work that would be lost…</p>}
      {losses !== null && !loses && <p class="fine">✓ No work would be lost.</p>}
      {losses !== null && loses && (
        <div class="losses">
          <p><strong>This would be lost:</strong> {losses.sentence}</p>
          <Names title="Commits that are nowhere else" names={losses.commits} />
          <Names title="Changed files" names={losses.modified} />
          <Names title="Files not in git" names={losses.untracked} />
          <label class="check">
            <input type="checkbox" checked={sure} onChange={(event) => setSure(event.currentTarget.checked)} /> Lose it
          </label>
        </div>
      )}
      {error && <p class="error" role="alert">{error}</p>}
      <Buttons app={app}>
        <Do
          app={app} danger disabled={losses === null || (loses && !sure)}
          doing={async () => {
            const { notes } = await api.remove(agent.id, loses);
            app.closeTab(agent.id);
            return [`${label(agent)} is removed.`, ...notes].join(" ");
          }}
        >Clean up</Do>
      </Buttons>
    </Box>
  );
}

function Names({ title, names }: { title: string; names: string[] }) {
  if (names.length === 0) return null;
  return (
    <details>
      <summary>{title} ({names.length})</summary>
      <ul>{names.map((name) => <li key={name}><code>{name}</code></li>)}</ul>
    </details>
  );
}

/** The button that does it, once, and closes the dialog. */
function Do({ app, doing, children, disabled = false, danger = false }: {
  app: App; doing: () => Promise<string>; children: ComponentChildren; disabled?: boolean; danger?: boolean;
}) {
  const [busy, setBusy] = useState(false);
  // By the time it is done, another dialog may be open.
  const mine = useRef(app.dialog).current;
  const close = () => {
    if (app.dialog === mine) app.closeDialog();
  };
  return (
    <button
      type="button" class={danger ? "danger" : "primary"} disabled={disabled || busy}
      onClick={() => {
        setBusy(true);
        void app.attempt(doing).then((done) => (done ? close() : setBusy(false)));
      }}
    >{children}</button>
  );
}
