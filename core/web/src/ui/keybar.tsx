// The keys that a phone's keyboard has not.

import { arrow } from "../keys";
import type { Session } from "../session";

export function KeyBar({ session }: { session: Session }) {
  const application = () => session.screen.terminal.modes.applicationCursorKeysMode;
  const key = (text: string, name: string, keys: () => string) => (
    <button
      type="button" key={text} {...(name ? { "aria-label": name } : {})}
      // The terminal keeps the focus, and the phone its keyboard.
      onPointerDown={(event) => event.preventDefault()} onClick={() => session.type(keys())}
    >{text}</button>
  );
  return (
    <div class="keybar" role="toolbar" aria-label="Keys">
      {key("Esc", "", () => "\x1b")}
      {key("Tab", "", () => "\t")}
      <button
        type="button" aria-pressed={session.ctrl} onPointerDown={(event) => event.preventDefault()}
        onClick={() => session.pressCtrl()}
      >Ctrl</button>
      {key("←", "Left", () => arrow("D", application()))}
      {key("↑", "Up", () => arrow("A", application()))}
      {key("↓", "Down", () => arrow("B", application()))}
      {key("→", "Right", () => arrow("C", application()))}
      {key("⏎", "Enter", () => "\r")}
    </div>
  );
}
