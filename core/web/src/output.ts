// What came for one screen and is not on it yet: written piece by piece, in turns, with what has to happen in
// between at its place.

import { Pacer } from "./pacer";

type Step = Uint8Array | (() => void);

/** How much is written in one go. */
const PIECE = 32 * 1024;
/** How many ms of each frame the terminal that is worked in has to write, and how many all others share. */
const FOREGROUND = new Pacer(6);
const BACKGROUND = new Pacer(2);

export interface Target {
  write(data: Uint8Array, then: () => void): void;
  isWorkedIn(): boolean;
  /** So many bytes more are shown. */
  wrote(count: number): void;
}

export class Output {
  private queue: Step[] = [];
  private writing = false;
  private closed = false;
  private over = () => {};

  constructor(
    private readonly target: Target,
    private readonly foreground = FOREGROUND,
    private readonly background = BACKGROUND,
  ) {}

  /** Have bytes written, or something done, after all that was added before. */
  add(step: Step): void {
    this.queue.push(step);
    this.pump();
  }

  /** Leave out the bytes that are not written yet. */
  skip(): void {
    this.queue = this.queue.filter((step) => typeof step === "function");
  }

  /** Let everything wait until the result is called. */
  hold(): () => void {
    this.writing = true;
    return () => {
      this.writing = false;
      this.pump();
    };
  }

  /** Write no more. A terminal that is closed never says that it is done, and must not keep others waiting. */
  close(): void {
    this.closed = true;
    this.over();
  }

  private pump(): void {
    while (!this.writing) {
      const step = this.queue.shift();
      if (step === undefined) return;
      if (typeof step === "function") {
        step();
        continue;
      }
      const piece = step.length > PIECE ? step.subarray(0, PIECE) : step;
      if (piece.length < step.length) this.queue.unshift(step.subarray(PIECE));
      const release = this.hold();
      const pacer = this.target.isWorkedIn() ? this.foreground : this.background;
      pacer.take((over) => this.write(piece, over, release));
    }
  }

  private write(piece: Uint8Array, over: () => void, release: () => void): void {
    this.over = over;
    if (this.closed) return over();
    this.target.write(piece, () => {
      this.target.wrote(piece.length);
      over();
      release();
    });
  }
}
