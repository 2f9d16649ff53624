// What keys become on their way to a program.

// What a terminal sends by itself: answers to queries and focus reports. A person typed none of it.
const REPORT = /^(?:\x1b\[(?:[?>=]?[0-9;:]*(?:[cRn]|\$y)|\?[0-9]+u|[IO]|[0-9;]+t)|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[P_][^\x1b]*\x1b\\)+$/;

export const isReport = (data: string): boolean => REPORT.test(data);

/** What Ctrl with a character is; the character itself where there is no such key. */
export function withCtrl(text: string): string {
  const [first, ...rest] = text;
  if (first === undefined || rest.length) return text;
  const code = first.toUpperCase().charCodeAt(0);
  if (code >= 0x40 && code <= 0x5f) return String.fromCharCode(code - 0x40);
  if (first === " ") return "\0";
  return first === "?" ? "\x7f" : text;
}

/** An arrow key, as the program asked for it. */
export const arrow = (letter: "A" | "B" | "C" | "D", application: boolean): string =>
  `\x1b${application ? "O" : "["}${letter}`;
