// A program's full reset (ESC c) takes modes and screen back to the beginning, and in most terminals everything
// that scrolled away with them. Here that is the person's, and so what stood on the screen goes there too.

const ESC = 0x1b;
const C = 0x63;

/** A sequence of our own: whether what is erased (ESC [ 2 J) goes up into the scrollback. */
export const KEEPS_ERASED = { prefix: ">", final: "J" } as const;

const PUSH_UP = "\x1b[>1J\x1b[2J\x1b[>0J\x1b[H";
// The first ESC also ends whatever sequence the terminal was in the middle of. As the Tower's own prologues.
const MODES_OFF =
  "\x1b[?2026l\x1b[?1049l\x1b[!p" +
  [1, 5, 6, 9, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004].map((mode) => `\x1b[?${mode}l`).join("") +
  "\x1b[?7h\x1b[?25h\x1b[4l\x1b>\x1b[0 q\x1b[r\x1b(B\x1b)B\x0f\x1b[m";

/** Takes modes and screen back to the beginning; what stood there is the end of the scrollback then. */
export const START_OVER = MODES_OFF + PUSH_UP;

/** Return what lets a line of the page's own stand as the last one of the scrollback, after START_OVER. */
export const lastLine = (text: string): string => `\x1b[2m${text}\x1b[m${PUSH_UP}`;

/** Replaces the full resets in what a program puts out, wherever its pieces begin and end. */
export class Resets {
  private afterEscape = false;

  replace(data: Uint8Array): Uint8Array {
    const parts: Uint8Array[] = [];
    let from = 0;
    if (this.afterEscape && data[0] === C) {
      parts.push(startOver);
      from = 1;
    }
    for (let at = data.indexOf(ESC, from); at >= 0; at = data.indexOf(ESC, at + 1)) {
      if (data[at + 1] !== C) continue;
      parts.push(data.subarray(from, at), startOver);
      from = at + 2;
    }
    if (data.length > 0) this.afterEscape = data[data.length - 1] === ESC;
    return parts.length > 0 ? joined([...parts, data.subarray(from)]) : data;
  }

  /** What comes next begins anew. */
  forget(): void {
    this.afterEscape = false;
  }
}

const startOver = new TextEncoder().encode(START_OVER);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
