// Requests to the Tower. An error is the Tower's own sentence and hint, or that it could not be reached.

import type { AgentView, ConversationDetail, Losses, PluginRow, RecoveryNews, RecoveryRow, ResumePlan, Size, StateView } from "./wire";

const PATIENCE_MS = 5000;
const LONG_PATIENCE_MS = 60_000;

/** What went wrong, for a person; `status` is 0 where the Tower was not reached. */
export class TowerError extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly hint: string) {
    super(message);
  }
}

/** Return what is to be said of anything that went wrong: a sentence, and what to do about it where that is known. */
export function explained(error: unknown): { message: string; hint: string } {
  const message = error instanceof Error ? error.message : String(error);
  return { message, hint: error instanceof TowerError ? error.hint : "" };
}

/** Return the same in one text. */
export function inWords(error: unknown): string {
  const { message, hint } = explained(error);
  return hint ? `${message} ${hint}` : message;
}

async function ask(method: string, path: string, body?: unknown, patience = LONG_PATIENCE_MS): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      signal: AbortSignal.timeout(patience),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
  } catch {
    throw new TowerError(0, "no-tower", "The Tower does not answer.", "The page asks again by itself.");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => null);
  throw new TowerError(
    response.status,
    said?.error?.code ?? "unknown",
    said?.error?.message ?? `The Tower answered ${response.status}.`,
    said?.error?.hint ?? "",
  );
}

async function json<Shape>(method: string, path: string, body?: unknown, patience?: number): Promise<Shape> {
  return (await (await ask(method, path, body, patience)).json()) as Shape;
}

const agentPath = (id: string) => `/api/agents/${encodeURIComponent(id)}`;

export interface SpawnRequest {
  workspace: string;
  kind: string;
  name?: string;
  task?: string;
  harness?: string;
  branch?: string;
}

/** What a terminal that is gone showed last, and when that was kept. */
export interface LastScreen { output: Uint8Array; size: Size; at: number }

export const api = {
  state: () => json<StateView>("GET", "/api/state", undefined, PATIENCE_MS),
  login: (code: string) => ask("POST", "/api/login", { code }, PATIENCE_MS),
  plugins: async () => (await json<{ plugins: PluginRow[] }>("GET", "/api/plugins")).plugins,
  spawn: (request: SpawnRequest) => json<{ agent: AgentView; notes: string[] }>("POST", "/api/agents", request),
  resume: (id: string) =>
    json<{ agent: AgentView; plan: ResumePlan; notes: string[] }>("POST", `${agentPath(id)}/resume`, {}),
  resumePlan: async (id: string) =>
    (await json<{ plan: ResumePlan }>("POST", `${agentPath(id)}/resume`, { dry_run: true })).plan,
  stop: (id: string) => json<{ notes: string[] }>("POST", `${agentPath(id)}/stop`),
  losses: (id: string) => json<Losses>("GET", `${agentPath(id)}/losses`),
  remove: (id: string, force: boolean) =>
    json<{ notes: string[] }>("DELETE", `${agentPath(id)}${force ? "?force=1" : ""}`),
  lastScreen: async (id: string): Promise<LastScreen | null> => {
    const response = await ask("GET", `${agentPath(id)}/screen`);
    if (response.status === 204) return null;
    const [cols, rows] = (response.headers.get("Afx-Size") ?? "").split("x").map(Number);
    return {
      output: new Uint8Array(await response.arrayBuffer()),
      size: { cols: cols || 80, rows: rows || 24 },
      at: Number(response.headers.get("Afx-At")),
    };
  },
  conversations: async (id: string) =>
    (await json<{ conversations: ConversationDetail[] }>("GET", `${agentPath(id)}/conversations`)).conversations,
  recoverable: async (workspace?: string) =>
    (await json<{ rows: RecoveryRow[] }>("POST", "/api/recover", workspace ? { workspace } : {})).rows,
  recover: async function* (agents: string[], workspace?: string): AsyncGenerator<RecoveryNews> {
    const response = await ask("POST", "/api/recover/apply", { agents, ...(workspace ? { workspace } : {}) }, 600_000);
    if (response.body) yield* lines(response.body);
  },
};

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<RecoveryNews> {
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop() ?? "";
    for (const line of whole) if (line) yield JSON.parse(line) as RecoveryNews;
  }
}
