// The whole page, drawn from what the app holds.

import type { App } from "../app";
import { everyone } from "../lookup";
import { Agents } from "./agents";
import { Dialogs } from "./dialogs";
import { Empty, SignIn } from "./empty";
import { Header } from "./header";
import { Notes } from "./notes";
import { Stage } from "./stage";
import { Upgrade } from "./upgrade";

export function Page({ app }: { app: App }) {
  const { link } = app;
  if (link.status === "signed-out") return <SignIn again={link.state !== null} />;
  if (link.state === null) {
    return (
      <main class="welcome">
        <p role="status">{link.status === "away" ? "The Tower does not answer. Trying again…" : "Connecting…"}</p>
      </main>
    );
  }
  const anybody = everyone(link.state).length > 0;
  return (
    <div class={`page ${app.menu ? "with-menu" : ""} ${link.status === "live" ? "" : "away"}`}>
      <Header app={app} />
      <Agents app={app} />
      <main><Upgrade app={app} />{anybody ? <Stage app={app} /> : <Empty app={app} />}</main>
      <Notes app={app} />
      <Dialogs app={app} />
    </div>
  );
}
