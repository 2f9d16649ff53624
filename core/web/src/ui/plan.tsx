// How an agent would be brought back, step by step, and why so.

import type { ResumePlan } from "../wire";

export function Plan({ plan }: { plan: ResumePlan }) {
  const steps = plan.steps.filter((step) => step.asked !== false);
  const saysMore = steps.some((step) => step.why !== plan.why);
  return (
    <div class="plan">
      <p>{plan.why}</p>
      {saysMore && (
        <ol>
          {steps.map((step, place) => (
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
