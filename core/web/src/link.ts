// The page's one link to the Tower: the whole state, read again whenever the stream of events says so.
//
// While the Tower is away this is the only one that knocks, by asking for the state. The terminals wait for
// its word: a crowd of sockets that fail would be slowed down by the browser itself.

import { api, TowerError } from "./api";
import { pause } from "./backoff";
import { classifyClose } from "./closing";
import { perhapsLetIn } from "./signin";
import { Socket } from "./socket";
import { sleep } from "./wake";
import type { StateView } from "./wire";

export type LinkStatus = "connecting" | "live" | "away" | "signed-out";

const REST_MS = 100;

export class Link {
  status: LinkStatus = "connecting";
  state: StateView | null = null;
  /** Since when the Tower has been away. */
  awaySince: number | null = null;
  /** How often the link was made; a terminal that waits for the Tower waits for the next one. */
  times = 0;
  private readonly listeners = new Set<() => void>();
  private reading: Promise<void> | null = null;
  private stale = false;
  private endEvents = () => {};

  /** Be told of every change; the result stops that. */
  listen(then: () => void): () => void {
    this.listeners.add(then);
    return () => this.listeners.delete(then);
  }

  /** Stay linked for as long as the page is open. Where the person has to sign in, that is waited for. */
  async run(): Promise<never> {
    for (let attempt = 0; ; attempt++) {
      try {
        this.state = await api.state();
      } catch (error) {
        if (isRefusal(error)) {
          this.become("signed-out");
          await perhapsLetIn();
          attempt = -1;
          continue;
        }
        this.become("away");
        await sleep(pause(attempt, Math.random(), document.visibilityState === "visible"));
        continue;
      }
      if (await this.follow(this.state.version)) attempt = -1;
      this.become("away");
      await sleep(REST_MS);
    }
  }

  /** Read the state again now, and return when it is at least as new as this call. */
  async refresh(): Promise<void> {
    if (this.reading !== null) {
      this.stale = true;
      return this.reading;
    }
    this.reading = this.read();
    try {
      await this.reading;
    } finally {
      this.reading = null;
    }
  }

  private async read(): Promise<void> {
    do {
      this.stale = false;
      try {
        this.state = await api.state();
      } catch (error) {
        // Where the Tower is away the stream of events ends too, and `run` sees to it. A cookie may go alone.
        if (isRefusal(error)) this.endEvents();
        return;
      }
      this.tell();
    } while (this.stale);
  }

  /** Follow the events from a version on until they end; say whether they ever began. */
  private follow(version: string): Promise<boolean> {
    return new Promise((resolve) => {
      let began = false;
      const socket = new Socket(`/ws/events?since=${encodeURIComponent(version)}`, {
        opened: () => {
          began = true;
          this.times++;
          this.become("live");
        },
        text: (text) => {
          if (!text.startsWith('{"type":')) void this.refresh();
        },
        closed: (code, opened) => {
          // Of a refusal the next read of the state says more.
          resolve(began && classifyClose(code, opened) !== "sign-in");
        },
      });
      this.endEvents = () => {
        socket.leave();
        resolve(false);
      };
    });
  }

  private become(status: LinkStatus): void {
    if (status === "away") this.awaySince ??= Date.now();
    else this.awaySince = null;
    this.status = status;
    this.tell();
  }

  private tell(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

/** Whether the Tower refuses because the page is not signed in. */
function isRefusal(error: unknown): boolean {
  return error instanceof TowerError && (error.status === 401 || error.status === 403);
}
