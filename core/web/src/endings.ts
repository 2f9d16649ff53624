// Why a terminal cannot be typed into, and what a person can do about it: pure, from what is known.

import type { LinkStatus } from "./link";
import type { SessionStatus } from "./session";
import type { AgentState, AgentView, ResumePlan } from "./wire";
import type { Tone } from "./words";

/** What a button does, and what it says: bring the agent back, ask about removing it, or close its tab. */
export interface Offer { does: "resume" | "clean-up" | "close"; button: string }
/** What is said, and what is offered, the right thing first; what passes by itself offers nothing. */
export interface End { title: string; why: string; tone: Tone; offers: readonly Offer[] }

type Plan = Pick<ResumePlan, "action" | "why">;

/** The states in which nothing runs, and what a person sees first of each. */
const DOWN: Partial<Record<AgentState, { title: string; tone: Tone; why: string }>> = {
  exited: { title: "Ended.", tone: "calm", why: "Its program ended by itself." },
  crashed: { title: "Crashed.", tone: "bad", why: "" },
  stopped: { title: "Stopped.", tone: "calm", why: "" },
  lost: { title: "Lost.", tone: "bad", why: "Its terminal is gone." },
  "needs-attention": { title: "Needs you.", tone: "bad", why: "" },
};

export const isDown = (state: AgentState): boolean => state in DOWN;

/**
 * Return what is to be said of an agent's terminal; null where it runs and is connected.
 *
 * `plan` says how it would be brought back; null where that is not known yet.
 */
export function endingOf(
  agent: AgentView | null, session: SessionStatus, link: LinkStatus, plan: Plan | null = null,
): End | null {
  if (link === "away") return passing("Reconnecting.", "The Tower is away; its terminals live on.");
  if (agent === null) {
    const why = `This agent and its terminal are no more. ${NO_KEYS}`;
    return { title: "Removed.", why, tone: "calm", offers: [{ does: "close", button: "Close the tab" }] };
  }
  const reason = sentence(agent.reason);
  if (agent.state === "unreachable") return passing("No answer.", joined(reason, "It is asked again by itself."));
  const down = DOWN[agent.state];
  if (down === undefined) return session === "live" || session === "connecting" ? null : passing("Reconnecting.", "");
  const { title, tone } = down;
  const what = reason || (agent.state === "crashed" && manner(agent)) || down.why;
  if (plan?.action === "refuse") {
    const why = joined(what, `Nothing can be started: ${sentence(plan.why)}`);
    return { title, tone, why, offers: [TRY_AGAIN, { does: "clean-up", button: "Clean up…" }] };
  }
  const resumes = plan === null ? agent.conversation !== null : plan.action === "resume";
  return { title, tone, why: joined(what, prospect(agent, session, resumes)), offers: [wayBack(agent, resumes)] };
}

const NO_KEYS = "Keys do nothing here any more.";
const TRY_AGAIN: Offer = { does: "resume", button: "Try again" };

/** Say what Enter does in the terminal itself, and what an agent comes back with. */
function prospect(agent: AgentView, session: SessionStatus, resumes: boolean): string {
  const listens = agent.terminal !== null && session === "live";
  if (agent.kind === "shell") return listens ? "Enter starts another." : NO_KEYS;
  if (listens) return "Enter begins a new conversation.";
  if (resumes) return `${NO_KEYS} Its conversation is kept.`;
  return `${NO_KEYS} It has no conversation to go on with, and begins anew${agent.task ? " with its task" : ""}.`;
}

function wayBack(agent: AgentView, resumes: boolean): Offer {
  if (agent.state === "needs-attention") return TRY_AGAIN;
  if (!resumes) return { does: "resume", button: "Start again" };
  return { does: "resume", button: agent.state === "lost" ? "Bring it back" : "Resume the conversation" };
}

const passing = (title: string, why: string): End => ({ title, why, tone: "ask", offers: [] });

function manner({ terminal }: AgentView): string {
  if (terminal?.exit?.signal != null) return `Signal ${terminal.exit.signal} ended it.`;
  if (terminal?.exit?.code != null) return `It ended with exit code ${terminal.exit.code}.`;
  return "";
}

const joined = (...sentences: string[]): string => sentences.filter(Boolean).join(" ");

function sentence(text: string): string {
  return text === "" || /[.!?]$/.test(text) ? text : `${text}.`;
}
