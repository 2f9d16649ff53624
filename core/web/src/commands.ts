// What the palette offers, and which of it fits what was typed: pure.

import type { App } from "./app";
import { everyone, type Found, label, talks, titleOf } from "./lookup";
import { markOf } from "./words";

export interface Command { title: string; detail: string; run: () => void }

/** Everything that can be done now: first the agents to go to, then what can be done. */
export function commands(app: App): Command[] {
  const all = everyone(app.link.state);
  const current = all.find(({ agent }) => agent.id === app.current);
  const going = all.map(({ workspace, agent }) => ({
    title: label(agent),
    detail: `${markOf(agent).word} · ${titleOf(app.link.state, workspace)}`,
    run: () => app.go(agent.id),
  }));
  const mine = current ? doings(app, current) : [];
  const others = all.flatMap((found) => (found === current ? [] : doings(app, found)));
  return [
    ...going,
    ...mine,
    { title: "Spawn an agent", detail: "architect, builder or shell", run: () => app.open({ kind: "spawn" }) },
    { title: "Recover agents", detail: "after a reboot or a crash", run: () => app.open({ kind: "recover" }) },
    {
      title: app.layout === "grid" ? "One terminal" : "All terminals at a glance", detail: "Ctrl Shift G",
      run: () => app.toggleGrid(),
    },
    { title: "Search in the terminal", detail: "Ctrl Shift F", run: () => app.search() },
    { title: "Screen reader mode", detail: "reads the terminal aloud; on or off", run: () => app.toggleScreenReader() },
    { title: "Keys", detail: "the page's own", run: () => app.open({ kind: "keys" }) },
    ...others,
  ];
}

/** What can be done to an agent. Where there are several workspaces, the words say in which one. */
function doings(app: App, { agent, workspace }: Found): Command[] {
  const name = label(agent);
  const { state } = app.link;
  const place = state && state.workspaces.length > 1 ? ` · ${titleOf(state, workspace)}` : "";
  const list: Command[] = [];
  if (agent.state === "running" || agent.state === "unreachable") {
    list.push({ title: `Stop ${name}`, detail: `ends its program; it stays known${place}`, run: () => app.open({ kind: "stop", agent: agent.id }) });
  } else {
    const [title, detail] = talks(agent)
      ? [`Resume ${name}`, "its conversation, where it can be found"]
      : [`Start ${name} again`, "it has no conversation to resume"];
    list.push({ title, detail: detail + place, run: () => app.open({ kind: "resume", agent: agent.id }) });
  }
  const lost = agent.kind === "builder" ? "removes it, its terminal and its worktree" : "removes it and its terminal";
  list.push({ title: `Clean up ${name}`, detail: lost + place, run: () => app.open({ kind: "cleanup", agent: agent.id }) });
  return list;
}

/** Return the commands in which every word that was typed begins a word or at least stands. */
export function matching(all: readonly Command[], typed: string): Command[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const scored = all.flatMap((command) => {
    const text = `${command.title} ${command.detail}`.toLowerCase();
    let score = 0;
    for (const word of words) {
      const at = text.indexOf(word);
      if (at < 0) return [];
      score += at === 0 || /[\s/·]/.test(text[at - 1] ?? "") ? 0 : 1;
    }
    return [{ command, score }];
  });
  return scored.sort((one, other) => one.score - other.score).map(({ command }) => command);
}
