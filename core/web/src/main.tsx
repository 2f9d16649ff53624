// Where the page begins.

import { render } from "preact";
import { App } from "./app";
import { listenForKeys } from "./shortcuts";
import { Link } from "./link";
import { useCode } from "./signin";
import { Page } from "./ui/page";
import { onWake } from "./wake";

const root = document.getElementById("root") as HTMLElement;
root.replaceChildren();
const link = new Link();
const app = new App(link, () => render(<Page app={app} />, root));

async function come(): Promise<void> {
  await useCode();
  await link.run();
}

// Whoever has to sign in does so in another tab, or by a new code in this one.
async function comeAgain(): Promise<void> {
  if (link.status === "signed-out") await come();
}

onWake(() => void comeAgain());
window.addEventListener("hashchange", () => void comeAgain());
listenForKeys(app);
window.setInterval(app.changed, 15_000);
app.changed();
void come();

/** For tests, and for who likes to look inside. */
declare global {
  interface Window { afx: App }
}
window.afx = app;
