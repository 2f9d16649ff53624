// Why a terminal cannot be typed into, and what a person can do about it: pure, from what is known.

import type { LinkStatus } from "./link";
import type { SessionStatus } from "./session";
import type { AgentView } from "./wire";
import type { Tone } from "./words";

export type Offer = "resume";
export interface End { title: string; why: string; tone: Tone; offer: Offer | null; button: string }

const nothing = { offer: null, button: "" } as const;

/** Return what is to be said of an agent's terminal; null where it runs and is connected. */
export function endingOf(agent: AgentView | null, session: SessionStatus, link: LinkStatus): End | null {
  if (link === "away") {
    return { title: "Reconnecting.", why: "The Tower is away; its terminals live on.", tone: "ask", ...nothing };
  }
  if (agent === null) {
    return { title: "Removed.", why: "This agent and its terminal are no more.", tone: "calm", ...nothing };
  }
  const why = sentence(agent.reason);
  const fresh = agent.kind === "shell" || agent.conversation === null;
  const back = { offer: "resume", button: fresh ? "Start again" : "Resume the conversation" } as const;
  switch (agent.state) {
    case "exited":
      return { title: "Ended.", why: why || "Its program ended by itself.", tone: "calm", ...back };
    case "crashed":
      return { title: "Crashed.", why: why || manner(agent), tone: "bad", ...back };
    case "stopped":
      return { title: "Stopped.", why, tone: "calm", ...back, button: "Start it" };
    case "lost":
      return { title: "Lost.", why: why || "Its terminal is gone.", tone: "bad", ...back, button: "Bring it back" };
    case "needs-attention":
      return { title: "Needs you.", why, tone: "bad", ...back, button: "Try again" };
    case "unreachable":
      return { title: "No answer.", why: `${why} It is asked again by itself.`.trim(), tone: "ask", ...nothing };
    case "running":
      return session === "live" || session === "connecting" ? null : RECONNECTING;
  }
}

const RECONNECTING: End = { title: "Reconnecting.", why: "", tone: "ask", ...nothing };

function manner({ terminal }: AgentView): string {
  if (terminal?.exit?.signal != null) return `Signal ${terminal.exit.signal} ended it.`;
  if (terminal?.exit?.code != null) return `It ended with exit code ${terminal.exit.code}.`;
  return "";
}

function sentence(text: string): string {
  return text === "" || /[.!?]$/.test(text) ? text : `${text}.`;
}
