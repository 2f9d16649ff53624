// Moments at which waiting makes no sense any more: the network is back, the person looks again.

/** Call `then` at each such moment; the result stops that. */
export function onWake(then: () => void): () => void {
  const seen = () => {
    if (document.visibilityState === "visible") then();
  };
  window.addEventListener("online", then);
  window.addEventListener("focus", then);
  document.addEventListener("visibilitychange", seen);
  return () => {
    window.removeEventListener("online", then);
    window.removeEventListener("focus", then);
    document.removeEventListener("visibilitychange", seen);
  };
}

/** Wait for so long, or until woken. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(end, ms);
    const stop = onWake(end);
  });
}
