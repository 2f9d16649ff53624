// What stands under a terminal that cannot be typed into: why, and the one thing to do about it. What passes by
// itself lies over the terminal instead, whose size then stays as it is.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { App } from "../app";
import { endingOf, isDown, type Offer } from "../endings";
import { label } from "../lookup";
import { api } from "../api";
import type { Session } from "../session";
import type { AgentView, ResumePlan } from "../wire";
import { ago } from "../words";
import { LastWords } from "./lastwords";
import { Prose } from "./prose";

export function Ending({ app, agent, session }: { app: App; agent: AgentView | null; session: Session }) {
  const { refused } = session;
  const ending = endingOf(agent, session.status, app.link.status, usePlan(agent));
  if (ending === null) {
    return refused ? <Strip tone="ask" refused passing><p>That key was not taken: the terminal did not answer.</p></Strip> : null;
  }
  return (
    <Strip tone={ending.tone} refused={refused} passing={ending.offers.length === 0}>
      <div>
        <p><strong>{ending.title}</strong> <Prose text={ending.why} /></p>
        {refused && <p class="refusal" role="alert">What you typed was not sent.</p>}
        {agent !== null && session.keptAt !== undefined && <Kept agent={agent} at={session.keptAt} />}
      </div>
      {ending.offers.length > 0 && <div class="offers">
        {ending.offers.map(({ does, button }, place) => (
          <button key={does} type="button" class={place ? "" : "primary"} onClick={() => follow(app, session.agentId, does)}>
            {button}
          </button>
        ))}
      </div>}
    </Strip>
  );
}

/** An agent that is down for less than this is on its way to something else: back, or removed. */
const SETTLED_MS = 250;

/** How an agent that does not run would be brought back; null while that is asked, and where it cannot be known. */
function usePlan(agent: AgentView | null): ResumePlan | null {
  const [plan, setPlan] = useState<ResumePlan | null>(null);
  const down = agent !== null && isDown(agent.state) ? agent.id : null;
  useEffect(() => {
    setPlan(null);
    if (down === null) return;
    let wanted = true;
    const timer = setTimeout(() => {
      api.resumePlan(down).then((known) => wanted && setPlan(known), () => undefined);
    }, SETTLED_MS);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [down, agent?.state, agent?.reason]);
  return plan;
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

function follow(app: App, agentId: string, does: Offer["does"]): void {
  if (does === "close") app.closeTab(agentId);
  if (does === "clean-up") app.open({ kind: "cleanup", agent: agentId });
  if (does === "resume") void bringBack(app, agentId);
}

async function bringBack(app: App, agentId: string): Promise<void> {
  await app.attempt(async () => {
    const { agent, notes } = await api.resume(agentId);
    return [`${label(agent)} is back.`, ...notes].join(" ");
  });
  app.go(agentId);
}
