// Pages without a terminal: they say what to type to whoever is not signed in, or has no agents yet.

import type { App } from "../app";

export function SignIn({ again }: { again: boolean }) {
  return (
    <main class="welcome">
      <h1>afx</h1>
      <p>{again ? "You are signed out. In a terminal, type" : "To come in, type in a terminal"}</p>
      <pre><code>afx open</code></pre>
      <p class="muted">
        It opens this page with a code that is good for one use. Your browser is remembered for 30 days, and pages that
        are open, such as this one, go on by themselves.
      </p>
    </main>
  );
}

export function Empty({ app }: { app: App }) {
  const first = app.link.state?.workspaces[0];
  return (
    <div class="welcome">
      <h2>Nobody works here yet</h2>
      {first ? (
        <>
          <p>Start an agent in <strong>{first.name}</strong>: an architect to plan with, or a builder for one task.</p>
          <button
            type="button" class="primary" onClick={() => app.open({ kind: "spawn", workspace: first.path })}
          >Spawn an agent</button>
        </>
      ) : (
        <>
          <p>In a terminal, in a git repository of yours, type</p>
          <pre><code>afx up</code></pre>
          <p class="muted">It makes the repository a workspace and starts an architect in it. This page shows it at once.</p>
        </>
      )}
    </div>
  );
}
