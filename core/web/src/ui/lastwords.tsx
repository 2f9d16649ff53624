// What was said last in the conversation of an agent whose terminal, and so its screen, is gone.

import { useEffect, useState } from "preact/hooks";
import { api } from "../api";
import type { AgentView } from "../wire";

export function LastWords({ agent }: { agent: AgentView }) {
  const [said, setSaid] = useState<string | null>(null);
  useEffect(() => {
    let wanted = true;
    api.conversations(agent.id).then(
      (all) => wanted && setSaid(all.find((one) => one.current)?.transcript?.last ?? ""),
      () => wanted && setSaid(""),
    );
    return () => { wanted = false; };
  }, [agent.id, agent.state]);
  if (said === null) return null;
  return (
    <>
      <p class="muted">Nothing of its screen was kept{said && "; this was said last"}.</p>
      {said && <blockquote>{said}</blockquote>}
    </>
  );
}
