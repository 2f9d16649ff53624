// How an agent would be brought back, step by step, and why so.

import type { ResumePlan } from "../wire";
import { Prose } from "./prose";

export function Plan({ plan }: { plan: ResumePlan }) {
  const steps = plan.steps.filter((step) => step.asked !== false);
  const saysMore = steps.some((step) => step.why !== plan.why);
  const isSaidBelow = saysMore && steps.some((step) => step.chosen && step.why === plan.why);
  return (
    <div class="plan">
      {!isSaidBelow && <p><Prose text={plan.why} /></p>}
      {saysMore && (
        <ol>
          {steps.map((step, place) => (
            <li key={place} class={step.chosen ? "chosen" : ""}>
              <span class="mark" aria-hidden="true">{step.chosen ? "✓" : "–"}</span>
              <span>
                <strong>{step.rung}</strong>
                <span class="visually-hidden">{step.chosen ? " (chosen)" : " (passed over)"}</span> <Prose text={step.why} />
              </span>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
