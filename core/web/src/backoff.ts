// How long to wait before the next try: twice as long each time, never all pages at the same moment.

export const SHORTEST_MS = 250;
export const LONGEST_MS = 5000;
/** While a person looks at the page, they wait for no more than this. */
export const LONGEST_SEEN_MS = 1500;

/** Return the pause before try number `attempt` (from 0); `chance` is a random number from 0 to 1. */
export function pause(attempt: number, chance: number, seen: boolean): number {
  const longest = seen ? LONGEST_SEEN_MS : LONGEST_MS;
  const full = Math.min(longest, SHORTEST_MS * 2 ** Math.min(attempt, 10));
  return Math.max(SHORTEST_MS, full * (0.5 + chance / 2));
}
