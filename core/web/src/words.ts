// How a state is said: a word, a symbol and a tone, never a colour alone. And times as a person says them.

import type { AgentView } from "./wire";

export type Tone = "good" | "busy" | "ask" | "bad" | "calm";
export interface Mark { word: string; symbol: string; tone: Tone }

export function markOf(agent: AgentView): Mark {
  switch (agent.state) {
    case "running":
      if (agent.doing === "waiting") return { word: "waits for you", symbol: "◆", tone: "ask" };
      if (agent.doing === "working") return { word: "working", symbol: "◐", tone: "busy" };
      return { word: "running", symbol: "●", tone: "good" };
    case "exited":
      return { word: "ended", symbol: "○", tone: "calm" };
    case "crashed":
      return { word: "crashed", symbol: "✕", tone: "bad" };
    case "stopped":
      return { word: "stopped", symbol: "■", tone: "calm" };
    case "unreachable":
      return { word: "no answer", symbol: "?", tone: "ask" };
    case "lost":
      return { word: "lost", symbol: "⊘", tone: "bad" };
    case "needs-attention":
      return { word: "needs you", symbol: "▲", tone: "bad" };
  }
}

/** Say how long ago something was, in few letters. */
export function ago(then: number | null, now: number): string {
  if (then === null) return "";
  const seconds = Math.max(0, now - then);
  if (seconds < 5) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Say a time of today, as the person's language has it. */
export const timeOfDay = (then: Date): string => then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
