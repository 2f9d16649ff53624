// An agent's terminal in the page. It outlives its sockets, the Tower, and the terminal itself: whatever ends,
// it knows how far it got and goes on from there, on the same terminal or on the successor.

import { api } from "./api";
import { pause } from "./backoff";
import { classifyClose } from "./closing";
import { isReport, withCtrl } from "./keys";
import type { Link } from "./link";
import { findAgent, label, nextTerminal } from "./lookup";
import { Output } from "./output";
import { Screen, type Role } from "./screen";
import { Socket } from "./socket";
import { timeOfDay } from "./words";
import type { AgentView, Control } from "./wire";

export type SessionStatus = "connecting" | "live" | "away" | "later" | "gone";

/** How many bytes may be on their way here; what is not shown yet waits in the terminal's holder. */
const WINDOW = 512 * 1024;
const ACKNOWLEDGE_EVERY = WINDOW / 8;
/** How much of its past a terminal shows at first. */
const TAIL = 1024 * 1024;
/** How long a refused key is spoken of. */
const REFUSAL_MS = 2500;

const HIDE_CURSOR = "\x1b[?25l";

export class Session {
  readonly screen: Screen;
  status: SessionStatus = "connecting";
  /** The terminal that is shown. */
  terminal: string | null = null;
  /** Of what is shown in place of a terminal that cannot be asked: when it was kept; null where nothing was. */
  keptAt: number | null | undefined;
  /** Whether the next character is taken with Ctrl, as the key bar has it. */
  ctrl = false;
  private recalled = false;
  private refusedAt = 0;
  private role: Role | null = null;
  private socket: Socket | null = null;
  private epoch: string | null = null;
  /** Whether the terminal that is called follows on another, or on what was kept of it, which is still shown. */
  private succeeds = false;
  private received = 0;
  private shown = 0;
  private acknowledged = 0;
  private attempt = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private linkedTimes = 0;
  private readonly output: Output;
  private toldSize = "";
  private readonly observer: ResizeObserver;
  private readonly stopListening: () => void;

  constructor(readonly agentId: string, private readonly link: Link, private readonly changed: () => void) {
    const agent = this.agent();
    this.screen = new Screen(agent ? label(agent) : agentId);
    this.output = new Output({
      write: (data, then) => this.screen.write(data, then),
      isWorkedIn: () => this.role === "window" && this.screen.host.contains(document.activeElement),
      wrote: (count) => this.acknowledge(count),
    });
    this.screen.terminal.onData((data) => this.type(data));
    this.screen.terminal.onBinary((data) => this.send(Uint8Array.from(data, (letter) => letter.charCodeAt(0))));
    this.observer = new ResizeObserver(() => this.place());
    this.observer.observe(this.screen.host);
    this.stopListening = link.listen(() => this.follow());
  }

  /** Show it so, or (null) not at all. What was shown once stays connected. */
  show(role: Role | null): void {
    if (role === this.role) return;
    this.role = role;
    this.place();
    this.follow();
  }

  focus(): void {
    this.screen.terminal.focus();
  }

  /** Send what a person typed; refuse it, for all to see, where nobody is there to take it. */
  type(data: string): void {
    if (this.ctrl && !isReport(data)) {
      this.ctrl = false;
      data = withCtrl(data);
      this.changed();
    }
    if (!this.send(new TextEncoder().encode(data)) && !isReport(data)) this.refuse();
  }

  /** Whether a key was refused a moment ago, since there was nobody to take it. */
  get refused(): boolean {
    return Date.now() - this.refusedAt < REFUSAL_MS;
  }

  private refuse(): void {
    this.refusedAt = Date.now();
    this.changed();
    setTimeout(this.changed, REFUSAL_MS);
  }

  /** Take the next character with Ctrl, or not after all. */
  pressCtrl(): void {
    this.ctrl = !this.ctrl;
    this.changed();
    this.focus();
  }

  close(): void {
    this.stopListening();
    this.observer.disconnect();
    this.leave();
    this.screen.dispose();
    this.output.close();
  }

  private agent(): AgentView | null {
    return findAgent(this.link.state, this.agentId)?.agent ?? null;
  }

  private send(data: Uint8Array<ArrayBuffer>): boolean {
    return this.status === "live" && (this.socket?.send(data) ?? false);
  }

  /** Go where the state says the agent's terminal is; called whenever the state or the link changed. */
  private follow(): void {
    // Before it is shown it has no size to come with.
    const isNew = this.role === null && this.terminal === null;
    if (this.link.status !== "live" || isNew) return;
    const relinked = this.link.times !== this.linkedTimes;
    this.linkedTimes = this.link.times;
    const agent = this.agent();
    const step = nextTerminal(agent, this.terminal);
    if (step.to === "nothing") {
      if (this.status !== "live") this.become("gone");
      this.place();
      void this.recall();
    } else if (step.to === "move") {
      this.leave();
      this.succeeds ||= this.epoch !== null || typeof this.keptAt === "number";
      this.terminal = step.terminal;
      this.epoch = null;
      // What is not shown yet is of the one before; the next one must not hear of it.
      this.acknowledged = Infinity;
      this.attempt = 0;
      this.connect();
    } else if (relinked && (this.status === "away" || this.status === "gone")) {
      this.attempt = 0;
      this.connect();
    } else if (this.status === "later" && agent?.terminal?.state !== "unreachable") {
      this.connect();
    }
  }

  /** Where nothing was shown yet and there is nobody to ask, show what the Tower kept of the agent's terminal. */
  private async recall(): Promise<void> {
    if (this.epoch !== null || this.recalled) return;
    this.recalled = true;
    const last = await api.lastScreen(this.agentId).catch(() => undefined);
    if (last === undefined) this.recalled = false;
    // A terminal may have come meanwhile, and begins with a clear screen.
    if (this.epoch !== null) return;
    this.keptAt = last && last.at;
    if (!last) {
      this.screen.terminal.write(HIDE_CURSOR);
      return this.changed();
    }
    this.screen.resize(last.size);
    this.screen.terminal.reset();
    // What may come of a terminal waits for this.
    const release = this.output.hold();
    this.screen.terminal.write(last.output);
    this.screen.terminal.write(HIDE_CURSOR, () => {
      this.settle();
      this.place();
      this.changed();
      release();
    });
  }

  /** Break lines as there is room for them, since no program depends on the size any more. */
  private settle(): void {
    if (this.screen.terminal.buffer.active.type === "normal") this.screen.fill();
  }

  private connect(): void {
    if (this.socket !== null || this.terminal === null) return;
    clearTimeout(this.timer);
    this.screen.open();
    const query = new URLSearchParams({ window: String(WINDOW) });
    if (this.epoch === null) query.set("tail", String(TAIL));
    else query.set("seq", `${this.epoch}:${this.received}`);
    const size = this.role === "window" ? this.screen.ownSize() : null;
    if (size !== null) {
      query.set("cols", String(size.cols));
      query.set("rows", String(size.rows));
    }
    this.toldSize = JSON.stringify(size);
    this.socket = new Socket(`/ws/terminal/${encodeURIComponent(this.terminal)}?${query}`, {
      text: (text) => this.obey(JSON.parse(text) as Control),
      bytes: (data) => {
        this.received += data.length;
        this.output.add(data);
      },
      closed: (code, opened) => this.hearClose(code, opened),
    });
  }

  private hearClose(code: number, opened: boolean): void {
    this.socket = null;
    const wait = pause(this.attempt++, Math.random(), document.visibilityState === "visible");
    switch (classifyClose(code, opened)) {
      case "gone":
        this.become("gone");
        this.retry(wait);
        // The state says what came instead, and `follow` goes there.
        void this.link.refresh();
        break;
      case "later":
        this.become("later");
        this.retry(4 * wait);
        void this.recall();
        break;
      case "away":
      case "sign-in":
        this.become("away");
        this.retry(wait);
        break;
    }
  }

  /** Try the same terminal again after a while; with no Tower there, the link's next word does. */
  private retry(wait: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const listed = this.agent()?.terminal?.id === this.terminal;
      if (this.link.status === "live" && listed) this.connect();
    }, wait);
  }

  private leave(): void {
    clearTimeout(this.timer);
    this.socket?.leave();
    this.socket = null;
  }

  private become(status: SessionStatus): void {
    if (this.status === status) return;
    this.status = status;
    this.changed();
  }

  private obey(news: Control): void {
    switch (news.type) {
      case "hello":
        this.attempt = 0;
        this.output.add(() => this.screen.resize(news.size));
        if (!news.resumed) this.beginAnew(news);
        this.become("live");
        this.output.add(() => {
          this.place();
          this.changed();
        });
        break;
      case "resync":
        this.beginAnew(news);
        break;
      case "resize":
        this.output.add(() => {
          this.screen.resize(news);
          this.place();
          this.changed();
        });
        break;
      case "error":
        this.refuse();
        break;
    }
  }

  private beginAnew({ epoch, offset, prologue }: { epoch: string; offset: number; prologue: string }): void {
    this.epoch = epoch;
    this.received = offset;
    this.keptAt = undefined;
    const { succeeds } = this;
    this.succeeds = false;
    // What was not shown yet belongs to a screen that is cleared now, unless that is where one looks back to.
    if (!succeeds) this.output.skip();
    this.output.add(() => {
      const modes = Uint8Array.from(atob(prologue), (letter) => letter.charCodeAt(0));
      this.shown = this.acknowledged = offset;
      if (succeeds) this.screen.turnOver(`── brought back ${timeOfDay(new Date())} ──`, modes);
      else this.screen.reset(modes);
    });
  }

  private acknowledge(count: number): void {
    this.shown += count;
    if (this.shown - this.acknowledged < ACKNOWLEDGE_EVERY) return;
    this.acknowledged = this.shown;
    this.socket?.send(JSON.stringify({ type: "ack", offset: this.shown }));
  }

  /** Fit the screen into its place, and tell the Tower how big a window this is. */
  private place(): void {
    if (this.role === null) {
      this.screen.draw(false);
      return;
    }
    this.screen.open();
    this.screen.draw(this.role === "window");
    if (this.role === "window" && this.status === "gone" && this.agent()?.terminal === null) this.settle();
    this.screen.adjust(this.role);
    if (this.role !== "window" || this.status !== "live") return;
    const size = this.screen.ownSize();
    const told = JSON.stringify(size);
    if (size === null || told === this.toldSize) return;
    if (this.socket?.send(JSON.stringify({ type: "resize", ...size }))) this.toldSize = told;
  }
}
