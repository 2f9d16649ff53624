// What stands under a terminal that cannot be typed into: why, and the one thing to do about it. What passes by
// itself lies over the terminal instead, whose size then stays as it is.

import type { ComponentChildren } from "preact";
import type { App } from "../app";
import { endingOf, type Offer } from "../endings";
import { label } from "../lookup";
import { api } from "../api";
import type { Session } from "../session";
import type { AgentView } from "../wire";
import { ago } from "../words";
import { LastWords } from "./lastwords";

export function Ending({ app, agent, session }: { app: App; agent: AgentView | null; session: Session }) {
  const { refused } = session;
  const ending = endingOf(agent, session.status, app.link.status);
  if (ending === null) {
    return refused ? <Strip tone="ask" refused passing><p>That key was not taken: the terminal did not answer.</p></Strip> : null;
  }
  return (
    <Strip tone={ending.tone} refused={refused} passing={ending.offer === null && agent !== null}>
      <div>
        <p><strong>{ending.title}</strong> {ending.why}</p>
        {refused && <p class="refusal" role="alert">What you typed was not sent.</p>}
        {agent !== null && session.keptAt !== undefined && <Kept agent={agent} at={session.keptAt} />}
      </div>
      {agent !== null && ending.offer && (
        <button type="button" class="primary" onClick={() => void follow(app, agent, ending.offer)}>{ending.button}</button>
      )}
      {agent === null && (
        <button type="button" class="primary" onClick={() => app.closeTab(session.agentId)}>Close the tab</button>
      )}
    </Strip>
  );
}

/** What there is to see of an agent whose terminal is gone: its last screen, or else what was said last. */
function Kept({ agent, at }: { agent: AgentView; at: number | null }) {
  if (at !== null) return <p class="muted">Above is its last screen{since(at)}.</p>;
  if (agent.terminal !== null) return null;
  return <LastWords agent={agent} />;
}

function since(at: number): string {
  const past = ago(at, Date.now() / 1000);
  return past === "now" ? "" : `, kept ${past} ago`;
}

function Strip({ tone, refused, passing, children }: {
  tone: string; refused: boolean; passing: boolean; children: ComponentChildren;
}) {
  const classes = ["ending", tone, refused && "refused", passing && "passing"].filter(Boolean).join(" ");
  return <div class={classes} role="status">{children}</div>;
}

async function follow(app: App, agent: AgentView, offer: Offer | null): Promise<void> {
  if (offer === "resume") {
    await app.attempt(async () => {
      const { notes } = await api.resume(agent.id);
      return [`${label(agent)} is back.`, ...notes].join(" ");
    });
    app.go(agent.id);
  }
}
