// Where the page begins.

import { render } from "preact";
import { App } from "./app";
import { listenForKeys } from "./shortcuts";
import { Link } from "./link";
import { useCode } from "./signin";
import { Page } from "./ui/page";

const root = document.getElementById("root") as HTMLElement;
root.replaceChildren();
const link = new Link();
const app = new App(link, () => render(<Page app={app} />, root));

// A code may come later too, typed into the address of a page that is open.
window.addEventListener("hashchange", () => void useCode());
listenForKeys(app);
window.setInterval(app.changed, 15_000);
app.changed();
void useCode().then(() => link.run());

/** For tests, and for whoever likes to look inside. */
declare global {
  interface Window { afx: App }
}
window.afx = app;
