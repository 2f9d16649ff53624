// How the page calls a person who looks elsewhere: title and icon always, notifications where they asked for them.

import type { App } from "./app";
import { everyone, label, needOf, type Need } from "./lookup";
import type { StateView } from "./wire";

const SAID: Record<Need, string> = {
  waiting: "waits for you",
  crashed: "crashed",
  lost: "lost its terminal",
  "needs-attention": "needs you",
};
const WANTED = "afx.notify";

let before = new Map<string, Need | null>();
let drawn = -1;

/** Whether notifications can be had, are wanted and allowed. */
export function notifying(): "on" | "off" | "impossible" {
  if (!("Notification" in window) || Notification.permission === "denied") return "impossible";
  return Notification.permission === "granted" && localStorage.getItem(WANTED) === "yes" ? "on" : "off";
}

/** Turn notifications on or off, and say which it is; the browser asks the person once. */
export async function toggleNotifying(app: App): Promise<void> {
  if (notifying() === "on") {
    localStorage.removeItem(WANTED);
    app.say("You are not notified any more.");
  } else if ((await Notification.requestPermission()) === "granted") {
    localStorage.setItem(WANTED, "yes");
    app.say("You are notified when an agent begins to wait, crashes or is lost.");
  } else {
    app.say("The browser does not let this page notify you.", "Allow it in the browser's settings for this address.", "bad");
  }
}

/** Bring title and icon up to date, and tell of agents that began to need somebody. */
export function announceNews(app: App): void {
  const { state } = app.link;
  if (state === null) return;
  if (app.link.status === "signed-out") {
    // Whether somebody waits now is not known here.
    document.title = "Signed out · afx";
    return draw(0);
  }
  const needs = needsOf(state);
  const count = [...needs.values()].filter((need) => need !== null).length;
  for (const { agent, workspace } of everyone(state)) {
    const need = needs.get(agent.id) ?? null;
    const isNews = before.has(agent.id) && need !== null && need !== before.get(agent.id);
    if (isNews && notifying() === "on" && (document.hidden || app.current !== agent.id)) {
      const note = new Notification(`${label(agent)} ${SAID[need]}`, { body: agent.reason || workspace.name, tag: agent.id });
      note.onclick = () => {
        window.focus();
        app.go(agent.id);
      };
    }
  }
  before = needs;
  const current = everyone(state).find(({ agent }) => agent.id === app.current);
  const name = current ? `${label(current.agent)} · ${current.workspace.name} · afx` : "afx";
  document.title = count ? `(${count}) ${name}` : name;
  draw(count);
}

/** Put a number onto the page's icon. */
function draw(count: number): void {
  if (count === drawn) return;
  drawn = count;
  document.querySelector<HTMLLinkElement>("#icon")?.setAttribute("href", icon(count));
}

function needsOf(state: StateView): Map<string, Need | null> {
  return new Map(everyone(state).map(({ agent }) => [agent.id, needOf(agent)]));
}

/** The page's icon, with a number on it. */
function icon(count: number): string {
  const badge = count
    ? `<circle cx="23" cy="9" r="9" fill="#d9480f"/><text x="23" y="14" font-family="sans-serif" font-size="14" font-weight="700" fill="#fff" text-anchor="middle">${count > 9 ? "9+" : count}</text>`
    : "";
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#1f6f5c"/><path d="M9 10l6 6-6 6M17 22h6" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/>${badge}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
