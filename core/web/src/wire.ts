// What the Tower says: the shapes of /api/state and its like that the page reads. docs/reference/http.md tells all.

export type AgentKind = "architect" | "builder" | "shell";
export type AgentState =
  | "running" | "exited" | "crashed" | "stopped" | "unreachable" | "lost" | "needs-attention";
export type Doing = "working" | "waiting" | "unknown";

export interface Size { cols: number; rows: number }
export interface Exit { code: number | null; signal: number | null; at: number }

export interface TerminalView {
  id: string;
  state: "running" | "exited" | "unreachable";
  size: Size;
  started_at: number;
  last_output_at: number | null;
  exit: Exit | null;
  predecessors: string[];
}

export interface AgentView {
  id: string;
  kind: AgentKind;
  name: string;
  harness: string | null;
  state: AgentState;
  reason: string;
  doing?: Doing;
  cwd: string;
  branch: string | null;
  spawned_by: string | null;
  task: string | null;
  created_at: number;
  waiting_messages: number;
  conversation: { id: string; source: string } | null;
  terminal: TerminalView | null;
}

export interface WorkspaceView { path: string; name: string; active: boolean; agents: AgentView[] }

export interface StateView {
  version: string;
  tower: { pid: number; version: string; url: string; started_at: number; home: string; host: string; page?: string };
  workspaces: WorkspaceView[];
  orphans: { terminal_id: string; agent_id: string; note: string }[];
  plugins: { name: string; state: string; error: string; hint: string; since: number | null }[];
}

export interface PlanStep {
  rung: string;
  session_id: string | null;
  evidence: string | null;
  chosen: boolean;
  asked?: boolean;
  why: string;
}

export interface ResumePlan {
  action: "attach" | "wait" | "resume" | "begin" | "refuse";
  rung: string | null;
  session_id: string | null;
  confidence: string;
  why: string;
  steps: PlanStep[];
}

export interface RecoveryRow { agent: string; name: string; eligibility: string; reason: string; plan: ResumePlan }

export interface RecoveryNews {
  event: "begin" | "starting" | "revived" | "attached" | "failed" | "skipped" | "end";
  agent?: string;
  name?: string;
  message?: string;
  agents?: string[];
  revived?: number;
  failed?: number;
  skipped?: number;
}

export interface Losses { modified: string[]; untracked: string[]; commits: string[]; sentence: string }

export interface ConversationDetail {
  id: string;
  current: boolean;
  transcript: { first: string; last: string } | null;
}

export interface PluginRow { kind: string; name: string; summary: string; state: string }

/** What a terminal's socket says as JSON; unknown types are passed over. */
export type Control =
  | { type: "hello"; resumed: boolean; epoch: string; offset: number; prologue: string; size: Size }
  | { type: "resync"; epoch: string; offset: number; prologue: string }
  | ({ type: "resize" } & Size)
  | { type: "exit" | "respawn" | "pong" }
  | { type: "error"; message: string };
