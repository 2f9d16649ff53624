// Bringing back many agents: first what would be done and why, then, when a person said so, how it goes.

import { useEffect, useState } from "preact/hooks";
import { api, inWords } from "../api";
import type { App } from "../app";
import { findAgent, titleOf } from "../lookup";
import type { RecoveryNews, RecoveryRow, ResumePlan } from "../wire";
import type { Tone } from "../words";
import { Box, Buttons } from "./dialogs";
import { Plan } from "./plan";

const WOULD: Record<ResumePlan["action"], string> = {
  attach: "runs already", wait: "may run", resume: "would be resumed", begin: "would begin anew", refuse: "cannot be started",
};
const SAID: Record<string, string> = {
  starting: "◐ starting", revived: "● revived", attached: "● runs already", failed: "✕ failed", skipped: "○ skipped",
};
const TONE: Record<string, Tone> = { starting: "busy", revived: "good", attached: "good", failed: "bad" };

export function Recover({ app, workspace }: { app: App; workspace: string | undefined }) {
  const [rows, setRows] = useState<RecoveryRow[] | null>(null);
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [news, setNews] = useState<ReadonlyMap<string, RecoveryNews>>(new Map());
  const [phase, setPhase] = useState<"plan" | "going" | "done">("plan");
  const [error, setError] = useState("");
  const fail = (failure: unknown) => setError(inWords(failure));
  useEffect(() => {
    api.recoverable(workspace).then(setRows, fail);
  }, [workspace]);
  const eligible = (rows ?? []).filter((row) => row.eligibility === "eligible");
  const chosen = eligible.filter((row) => !left.has(row.agent)).map((row) => row.agent);

  async function go(): Promise<void> {
    setPhase("going");
    try {
      for await (const item of api.recover(chosen, workspace)) {
        const { agent } = item;
        if (agent) setNews((before) => new Map(before).set(agent, item));
      }
    } catch (failure) {
      fail(failure);
    }
    setPhase("done");
    void app.link.refresh();
  }

  function choose(agent: string, wanted: boolean): void {
    const next = new Set(left);
    if (wanted) next.delete(agent);
    else next.add(agent);
    setLeft(next);
  }

  const { state } = app.link;
  const here = state?.workspaces.find((one) => one.path === workspace);
  const place = (row: RecoveryRow) => {
    const found = findAgent(state, row.agent);
    return here || !found || state?.workspaces.length === 1 ? "" : titleOf(state, found.workspace);
  };

  return (
    <Box app={app} title={here ? `Recover agents in ${titleOf(state, here)}` : "Recover agents"} kind="wide">
      {rows === null && !error && <p role="status">Looking at every agent…</p>}
      {rows?.length === 0 && <p>Everybody runs. There is nobody to bring back.</p>}
      <ul class="recovery">
        {rows?.map((row) => {
          const told = news.get(row.agent);
          return (
            <li key={row.agent} class={row.eligibility === "eligible" ? "" : "passed"}>
              <label>
                <input
                  type="checkbox" disabled={phase !== "plan" || row.eligibility !== "eligible"}
                  checked={row.eligibility === "eligible" && !left.has(row.agent)}
                  onChange={(event) => choose(row.agent, event.currentTarget.checked)}
                />
                <strong>{row.name}</strong>
                <span class="muted">{place(row)}</span>
                <span class={`outcome ${told ? TONE[told.event] ?? "" : ""}`} role="status">{told ? SAID[told.event] : foreseen(row)}</span>
              </label>
              {row.eligibility === "eligible" && !told?.message && <Plan plan={row.plan} />}
              {(told?.message || row.eligibility !== "eligible") && <p class="muted">{told?.message ?? row.reason}</p>}
            </li>
          );
        })}
      </ul>
      {error && <p class="error" role="alert">{error}</p>}
      {phase === "plan" && rows?.length ? (
        <Buttons app={app}>
          <button type="button" class="primary" disabled={chosen.length === 0} onClick={() => void go()}>
            Bring back {chosen.length}
          </button>
        </Buttons>
      ) : (
        <div class="buttons">
          <button type="button" class="primary" onClick={app.closeDialog}>{phase === "going" ? "Go on in the background" : "Close"}</button>
        </div>
      )}
    </Box>
  );
}

const foreseen = (row: RecoveryRow): string =>
  row.eligibility === "eligible" ? WOULD[row.plan.action] : row.eligibility;
