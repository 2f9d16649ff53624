// Shares the time of each frame among the terminals that have something to write, so that the page stays quick.

/** What is done in a turn; it says when it is over, which it may be at once. */
export type Turn = (over: () => void) => void;

const PATIENCE_MS = 100;

export class Pacer {
  private readonly waiting: Turn[] = [];
  private busy = false;
  private spent = 0;
  private asked = false;

  /** Give out `budget` ms of each frame: at once while there is some left, else with the next frame. */
  constructor(
    private readonly budget: number,
    private readonly nextFrame: (then: () => void) => void = frameOrPatience,
    private readonly now: () => number = () => performance.now(),
  ) {}

  take(turn: Turn): void {
    this.waiting.push(turn);
    this.go();
  }

  private go(): void {
    if (this.busy || this.spent >= this.budget) return;
    const turn = this.waiting.shift();
    if (turn === undefined) return;
    this.busy = true;
    const began = this.now();
    let isOver = false;
    turn(() => {
      if (isOver) return;
      isOver = true;
      this.busy = false;
      this.spent += this.now() - began;
      this.renew();
      this.go();
    });
  }

  private renew(): void {
    if (this.asked) return;
    this.asked = true;
    this.nextFrame(() => {
      this.asked = false;
      this.spent = 0;
      this.go();
    });
  }
}

/** Call back with the next frame; a page that nobody sees is drawn none, and waits no longer than this. */
function frameOrPatience(then: () => void): void {
  const end = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    then();
  };
  const frame = requestAnimationFrame(end);
  const timer = setTimeout(end, PATIENCE_MS);
}
