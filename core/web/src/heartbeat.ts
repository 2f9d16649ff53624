// Tells a silent line from a dead one: after sleep, or through a tunnel, a socket may be open and lead nowhere.

import { onWake } from "./wake";

const EVERY_MS = 20_000;
const PATIENCE_MS = 3000;

/** Ask a socket for a sign of life from time to time, and at every wake; call `dead` where none comes. */
export class Heartbeat {
  private readonly timer = setInterval(() => this.ask(), EVERY_MS);
  private readonly stopWaking = onWake(() => this.ask());
  private deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly socket: WebSocket, private readonly dead: () => void) {}

  /** Something came. */
  heard(): void {
    clearTimeout(this.deadline);
    this.deadline = undefined;
  }

  stop(): void {
    this.heard();
    clearInterval(this.timer);
    this.stopWaking();
  }

  private ask(): void {
    if (this.deadline !== undefined || this.socket.readyState !== WebSocket.OPEN) return;
    this.deadline = setTimeout(this.dead, PATIENCE_MS);
    this.socket.send('{"type":"ping"}');
  }
}
