// The terminal's colours, which follow the system's setting as the page around it does.

import type { ITheme } from "@xterm/xterm";

export const darkness = window.matchMedia("(prefers-color-scheme: dark)");

const DARK: ITheme = {
  background: "#12161a", foreground: "#d5dbe0", cursor: "#7fd1b9", cursorAccent: "#12161a",
  selectionBackground: "#35566b", selectionInactiveBackground: "#2b3b47",
  scrollbarSliderBackground: "#ffffff1f", scrollbarSliderHoverBackground: "#ffffff38",
  scrollbarSliderActiveBackground: "#ffffff4d",
  black: "#2a3138", red: "#f2777a", green: "#86c98f", yellow: "#e3c078",
  blue: "#7fb2ec", magenta: "#c9a0e8", cyan: "#76cdd0", white: "#c8d0d6",
  brightBlack: "#77838d", brightRed: "#ff9a9c", brightGreen: "#a6deac", brightYellow: "#f1d79c",
  brightBlue: "#a5cbf7", brightMagenta: "#ddc0f3", brightCyan: "#9be1e3", brightWhite: "#f2f5f7",
};

const LIGHT: ITheme = {
  background: "#ffffff", foreground: "#24292e", cursor: "#1f6f5c", cursorAccent: "#ffffff",
  selectionBackground: "#bfe0d7", selectionInactiveBackground: "#dfeae7",
  scrollbarSliderBackground: "#0000001a", scrollbarSliderHoverBackground: "#00000033",
  scrollbarSliderActiveBackground: "#00000047",
  black: "#24292e", red: "#b3262e", green: "#1c7440", yellow: "#8a5a00",
  blue: "#1f5fae", magenta: "#7d3aa8", cyan: "#0f6d78", white: "#6b747c",
  brightBlack: "#59636c", brightRed: "#c93a41", brightGreen: "#2a8a52", brightYellow: "#9a6a0e",
  brightBlue: "#2f74c9", brightMagenta: "#9150bd", brightCyan: "#1a818d", brightWhite: "#3d464d",
};

export const theme = (): ITheme => (darkness.matches ? DARK : LIGHT);
