// What the page is showing: the open terminals, the one that is worked in, and what lies over them.

import { explained } from "./api";
import { announceNews } from "./attention";
import type { Link } from "./link";
import { everyone, findAgent, label } from "./lookup";
import { addressOf, agentAt } from "./route";
import { Session } from "./session";
import { darkness } from "./theme";

export type Dialog =
  | { kind: "palette" }
  | { kind: "keys" }
  | { kind: "spawn"; workspace?: string }
  | { kind: "recover"; workspace?: string }
  | { kind: "resume" | "stop" | "cleanup"; agent: string };

export interface Note { id: number; text: string; hint: string; tone: "good" | "bad" }

const NOTE_MS = 8000;

export class App {
  /** The terminals that are followed, by agent: those in tabs, and while all are watched those of them in view. */
  readonly sessions = new Map<string, Session>();
  /** The agents that have a tab, in its order. */
  readonly tabs = new Set<string>();
  current: string | null = null;
  layout: "single" | "grid" = "single";
  dialog: Dialog | null = null;
  searching = false;
  /** Whether the list of agents is shown where there is no room for both. */
  menu = false;
  screenReader = false;
  notes: Note[] = [];
  private noteCount = 0;
  private drawing = false;

  constructor(readonly link: Link, private readonly draw: () => void) {
    link.listen(() => this.stateChanged());
    window.addEventListener("hashchange", () => this.goToAddress());
    darkness.addEventListener("change", () => this.sessions.forEach((session) => session.screen.recolour()));
  }

  /** Draw again, soon. */
  changed = (): void => {
    if (this.drawing) return;
    this.drawing = true;
    queueMicrotask(() => this.drawNow());
  };

  private drawNow(): void {
    this.drawing = false;
    this.draw();
  }

  /** Have the next key go to the terminal that is worked in, which has to be drawn for that. */
  private focusTerminal(): void {
    this.drawNow();
    for (const here of document.querySelectorAll("li:has(> [aria-current])")) {
      here.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.currentSession?.focus();
  }

  get currentSession(): Session | null {
    return this.current === null ? null : (this.sessions.get(this.current) ?? null);
  }

  session(agentId: string): Session {
    let session = this.sessions.get(agentId);
    if (session === undefined) {
      session = new Session(agentId, this.link, this.changed);
      session.screen.terminal.options.screenReaderMode = this.screenReader;
      this.sessions.set(agentId, session);
    }
    return session;
  }

  /** Show an agent's terminal and work in it. */
  go(agentId: string): void {
    this.current = agentId;
    this.tabs.add(agentId);
    this.session(agentId);
    this.lookAtOne();
    const found = findAgent(this.link.state, agentId);
    if (found !== null && this.link.state !== null) {
      const address = addressOf(this.link.state, found.workspace, found.agent);
      if (location.hash !== address) history.pushState(null, "", address);
    }
    this.focusTerminal();
  }

  /** Go to the agent so many places further in the list. */
  step(by: number): void {
    const all = everyone(this.link.state);
    const here = all.findIndex(({ agent }) => agent.id === this.current);
    const next = all[(Math.max(0, here) + by + all.length) % all.length];
    if (next) this.go(next.agent.id);
  }

  /** Close an agent's tab; the agent goes on. */
  closeTab(agentId: string): void {
    const order = [...this.tabs];
    const place = order.indexOf(agentId);
    this.tabs.delete(agentId);
    this.drop(agentId);
    if (this.current === agentId) {
      this.current = null;
      const next = order[place + 1] ?? order[place - 1];
      if (next) this.go(next);
    }
    this.changed();
  }

  /** Show all terminals at a glance, or again the one that is worked in. */
  toggleGrid(): void {
    if (this.layout === "grid") {
      this.lookAtOne();
      this.focusTerminal();
      return;
    }
    this.layout = "grid";
    this.menu = false;
    this.changed();
  }

  /** Open the search in the terminal that is worked in. */
  search(): void {
    this.searching = true;
    this.changed();
  }

  /** Follow an agent's terminal, whose tile comes into view, or (`seen` is false) let go of it. */
  watch(agentId: string, seen: boolean): void {
    if (this.layout !== "grid" || this.sessions.has(agentId) === seen) return;
    if (seen) this.session(agentId);
    else if (!this.tabs.has(agentId)) this.drop(agentId);
    this.changed();
  }

  /** Leave what was only looked at for the overview. */
  private lookAtOne(): void {
    this.layout = "single";
    this.menu = false;
    for (const id of [...this.sessions.keys()]) if (!this.tabs.has(id)) this.drop(id);
  }

  private drop(agentId: string): void {
    this.sessions.get(agentId)?.close();
    this.sessions.delete(agentId);
  }

  open(dialog: Dialog): void {
    this.dialog = dialog;
    this.changed();
  }

  closeDialog = (): void => {
    if (this.dialog === null) return;
    this.dialog = null;
    this.focusTerminal();
  };

  /** Have terminals read aloud, or not any more. It costs time with every line, so it has to be asked for. */
  toggleScreenReader(): void {
    this.screenReader = !this.screenReader;
    for (const session of this.sessions.values()) session.screen.terminal.options.screenReaderMode = this.screenReader;
    this.say(`Screen reader mode is ${this.screenReader ? "on" : "off"}.`);
  }

  /** Say something at the edge of the page, for a while. */
  say(text: string, hint = "", tone: Note["tone"] = "good"): void {
    const id = ++this.noteCount;
    this.notes = [...this.notes, { id, text, hint, tone }];
    setTimeout(() => this.unsay(id), NOTE_MS);
    this.changed();
  }

  unsay(id: number): void {
    this.notes = this.notes.filter((note) => note.id !== id);
    this.changed();
  }

  /** Do what a person asked for, and say what went wrong. */
  async attempt(doing: () => Promise<string | undefined>): Promise<boolean> {
    try {
      const said = await doing();
      if (said) this.say(said);
      return true;
    } catch (error) {
      const { message, hint } = explained(error);
      this.say(message, hint, "bad");
      return false;
    } finally {
      void this.link.refresh();
    }
  }

  private goToAddress(): void {
    const { state } = this.link;
    if (state === null) return;
    const found = agentAt(state, location.hash);
    if (found === null) this.sayNobodyIsThere();
    else if (found.agent.id !== this.current) this.go(found.agent.id);
  }

  /** Say that the address means no agent, and let it be that of the one that is shown. */
  private sayNobodyIsThere(): void {
    if (!location.hash.startsWith("#/")) return;
    const { state } = this.link;
    const wanted = location.hash.slice(2);
    const shown = findAgent(state, this.current);
    history.replaceState(null, "", state && shown ? addressOf(state, shown.workspace, shown.agent) : location.pathname);
    if (wanted !== "") this.say(`There is no agent at ${wanted}.`, "It may have been removed, or have another name.", "bad");
  }

  private stateChanged(): void {
    const { state } = this.link;
    if (state !== null) {
      for (const [id, session] of this.sessions) {
        const found = findAgent(state, id);
        if (found !== null) session.screen.rename(label(found.agent));
        else if (id !== this.current) this.closeTab(id);
      }
      if (this.current === null) {
        const named = agentAt(state, location.hash);
        if (named === null) this.sayNobodyIsThere();
        const first = named ?? everyone(state).find(({ agent }) => agent.terminal !== null);
        if (first) this.go(first.agent.id);
      }
    }
    announceNews(this);
    this.changed();
  }
}
