// One xterm.js terminal and the element it lives in. It knows bytes, sizes and colours, and nothing of the Tower.

import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal } from "@xterm/xterm";
import { KEEPS_ERASED, lastLine, Resets, START_OVER } from "./resets";
import { theme } from "./theme";
import type { Size } from "./wire";

const FONT_SIZE = 13;
const SMALLEST_FONT = 6.5;
/** In a tile, which shows what can be read of a terminal rather than all of it. */
const SMALLEST_IN_TILE = 9;
const SCROLLBACK = 10_000;
const FONTS = 'ui-monospace, "JetBrains Mono", "SF Mono", Menlo, "Cascadia Mono", "DejaVu Sans Mono", monospace';

/** How a screen is shown: to work in, at a size of its own choice; or to watch, as the terminal is. */
export type Role = "window" | "tile";

export class Screen {
  readonly host = document.createElement("div");
  readonly terminal: Terminal;
  readonly search = new SearchAddon();
  private readonly fit = new FitAddon();
  private readonly resets = new Resets();
  private webgl: WebglAddon | null = null;
  private opened = false;

  constructor(label: string) {
    this.host.className = "screen";
    this.terminal = new Terminal({
      allowProposedApi: true,
      cursorBlink: true,
      cursorInactiveStyle: "outline",
      fontFamily: FONTS,
      fontSize: FONT_SIZE,
      lineHeight: 1.15,
      scrollback: SCROLLBACK,
      macOptionIsMeta: true,
      theme: theme(),
      linkHandler: { activate: (_, uri) => open(uri) },
    });
    this.terminal.loadAddon(this.fit);
    this.terminal.loadAddon(this.search);
    this.terminal.loadAddon(new Unicode11Addon());
    this.terminal.loadAddon(new WebLinksAddon((_, uri) => open(uri)));
    this.terminal.unicode.activeVersion = "11";
    this.spareTheScrollback();
    this.rename(label);
  }

  /** See to it that no program takes from the person what scrolled away. */
  private spareTheScrollback(): void {
    const { parser, options } = this.terminal;
    // "Erase saved lines".
    parser.registerCsiHandler({ final: "J" }, (parameters) => parameters[0] === 3);
    // A full reset in which other characters hide. All others are replaced before they come here.
    parser.registerEscHandler({ final: "c" }, () => true);
    parser.registerCsiHandler(KEEPS_ERASED, (parameters) => {
      options.scrollOnEraseInDisplay = parameters[0] === 1;
      return true;
    });
  }

  /** Whose terminal this is, or was. */
  get label(): string {
    return this.host.dataset.label ?? "";
  }

  /** Say to a screen reader whose terminal this is. */
  rename(label: string): void {
    this.host.setAttribute("role", "group");
    this.host.setAttribute("aria-label", `Terminal of ${label}`);
    this.terminal.textarea?.setAttribute("aria-label", `Input to ${label}`);
    this.host.dataset.label = label;
  }

  /** Put the terminal into its element, which is on the page and has a size by now. */
  open(): void {
    if (this.opened || this.host.clientWidth === 0) return;
    this.opened = true;
    this.terminal.open(this.host);
    this.terminal.onRender(() => this.watchCursor());
    this.rename(this.label);
  }

  /** Draw by the graphics card while the terminal is worked in; a browser has contexts for a few only. */
  draw(fast: boolean): void {
    if (!this.opened || fast === (this.webgl !== null)) return;
    if (!fast) {
      this.webgl?.dispose();
      this.webgl = null;
    } else if (hasGraphicsCard()) {
      this.webgl = new WebglAddon();
      this.webgl.onContextLoss(() => this.draw(false));
      this.terminal.loadAddon(this.webgl);
    }
  }

  /** The size that a window of this element's size would have; null while it is not shown. */
  ownSize(): Size | null {
    if (!this.opened || this.host.clientWidth === 0) return null;
    const fits = this.fit.proposeDimensions();
    if (!fits || !Number.isFinite(fits.cols) || !Number.isFinite(fits.rows)) return null;
    const scale = (this.terminal.options.fontSize ?? FONT_SIZE) / FONT_SIZE;
    return {
      cols: Math.min(2000, Math.max(2, Math.floor(fits.cols * scale))),
      rows: Math.min(2000, Math.max(1, Math.floor(fits.rows * scale))),
    };
  }

  /** Whether another window's size is shown here. */
  get foreign(): boolean {
    const own = this.ownSize();
    return own !== null && (own.cols !== this.terminal.cols || own.rows !== this.terminal.rows);
  }

  /** Choose the letters' size so that the terminal, whose size others may have set, is seen as a whole, or as a
   * tile in its whole breadth; where they would be too small to be read, less is seen. */
  adjust(role: Role): void {
    const own = this.ownSize();
    if (own === null) return;
    const { cols, rows } = this.terminal;
    const tile = role === "tile";
    const scale = Math.min(1, own.cols / cols, tile ? 1 : own.rows / rows);
    const exact = FONT_SIZE * scale;
    const smallest = tile ? SMALLEST_IN_TILE : SMALLEST_FONT;
    const size = scale === 1 ? FONT_SIZE : Math.max(smallest, Math.floor(exact * 4) / 4);
    if (this.terminal.options.fontSize !== size) this.terminal.options.fontSize = size;
    this.host.dataset.role = role;
    this.watchCursor();
  }

  /** Of a tile that shows a part only, show the part where something happens. */
  private watchCursor(): void {
    let top = 0;
    if (this.host.dataset.role === "tile") {
      const height = this.host.querySelector(".xterm-screen")?.clientHeight ?? 0;
      const line = height / this.terminal.rows;
      top = Math.max(0, (this.terminal.buffer.active.cursorY + 3) * line - this.host.clientHeight);
    }
    if (this.host.scrollTop !== Math.floor(top)) this.host.scrollTop = Math.floor(top);
  }

  resize(size: Size): void {
    if (size.cols !== this.terminal.cols || size.rows !== this.terminal.rows) {
      this.terminal.resize(size.cols, size.rows);
    }
  }

  /** Have as many lines and columns as there is room for in letters of full size. */
  fill(): void {
    // Measured in smaller letters it would be a guess.
    this.terminal.options.fontSize = FONT_SIZE;
    const own = this.ownSize();
    if (own !== null) this.resize(own);
  }

  /** Show what a program put out, and call `then` when it is shown. */
  write(data: Uint8Array, then: () => void): void {
    this.terminal.write(this.resets.replace(data), then);
  }

  /** Begin anew, with the modes that `prologue` sets. */
  reset(prologue: Uint8Array): void {
    this.resets.forget();
    this.terminal.reset();
    this.terminal.write(prologue);
  }

  /** Begin anew below what is shown, which can be scrolled to from then on; `text` says what begins there. */
  turnOver(text: string, prologue: Uint8Array): void {
    this.resets.forget();
    // Of a screen that a program drew as a whole nothing scrolls away by itself.
    const drawn = this.terminal.buffer.active.type === "alternate" ? this.text() : [];
    while (drawn.at(-1) === "") drawn.pop();
    this.terminal.write(START_OVER + drawn.map((line) => `${line}\r\n`).join("") + lastLine(text));
    this.terminal.write(prologue);
  }

  recolour(): void {
    this.terminal.options.theme = theme();
  }

  /** What stands in the terminal, scrollback and all, line by line. */
  text(): string[] {
    const buffer = this.terminal.buffer.active;
    const lines: string[] = [];
    for (let row = 0; row < buffer.length; row++) {
      const line = buffer.getLine(row);
      const text = line?.translateToString(true) ?? "";
      if (line?.isWrapped && lines.length) lines[lines.length - 1] += text;
      else lines.push(text);
    }
    return lines;
  }

  dispose(): void {
    this.terminal.dispose();
    this.host.remove();
  }
}

let graphicsCard: boolean | undefined;

/** Whether a graphics card draws WebGL; where the processor does, the page's own elements are quicker. */
function hasGraphicsCard(): boolean {
  if (graphicsCard === undefined) {
    const context = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
    const names = context?.getExtension("WEBGL_debug_renderer_info");
    const drawnBy = names ? String(context?.getParameter(names.UNMASKED_RENDERER_WEBGL)) : "";
    graphicsCard = context !== null && !/SwiftShader|llvmpipe|software/i.test(drawnBy);
    context?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return graphicsCard;
}

/** Follow a link that a program wrote: to the web only, and without telling where from. */
function open(uri: string): void {
  if (/^https?:\/\//i.test(uri)) window.open(uri, "_blank", "noopener,noreferrer");
}
