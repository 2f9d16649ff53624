// Says that the Tower serves another build of the page by now. The one that is open goes on as it is.

import { useState } from "preact/hooks";
import type { App } from "../app";

const OWN = document.querySelector<HTMLMetaElement>("meta[name=build]")?.content ?? "";

export function Upgrade({ app }: { app: App }) {
  const served = app.link.state?.tower.page ?? "";
  const [passed, pass] = useState("");
  if (!OWN || !served || served === OWN || served === passed) return null;
  return (
    <div class="upgrade" role="status">
      <p>afx was upgraded. This page is the one of before.</p>
      <button type="button" class="primary" onClick={() => location.reload()}>Reload</button>
      <button type="button" class="icon small" aria-label="Not now" title="Not now" onClick={() => pass(served)}>×</button>
    </div>
  );
}
