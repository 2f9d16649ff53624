// How an agent would be brought back, step by step, and why so.

import type { ResumePlan } from "../wire";

export function Plan({ plan }: { plan: ResumePlan }) {
  return (
    <div class="plan">
      <p>{plan.why}</p>
      {plan.steps.length > 0 && (
        <ol>
          {plan.steps.map((step, place) => (
            <li key={place} class={step.chosen ? "chosen" : ""}>
              <span aria-hidden="true">{step.chosen ? "✓" : "–"}</span>
              <span>
                <strong>{step.rung}</strong>
                <span class="visually-hidden">{step.chosen ? " (chosen)" : " (passed over)"}</span> {step.why}
              </span>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
