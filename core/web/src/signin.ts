// Coming in: a one-time code in the address's fragment, which no browser sends anywhere, becomes a cookie. All
// pages of a browser have that cookie, so those that wait for it are told.

import { api } from "./api";
import { onWake } from "./wake";

const CHANNEL = "afx-signed-in";
/** How often a page that is seen asks whether it may come in, should nobody have told it. */
const EVERY_MS = 3000;

/** Use the code in the address, if there is one, and take it out of there. */
export async function useCode(): Promise<void> {
  const code = /^#code=([\w-]+)$/.exec(location.hash)?.[1];
  if (code === undefined) return;
  history.replaceState(null, "", location.pathname);
  try {
    await api.login(code);
  } catch {
    // A code that is used up is no harm where the cookie is good; where it is not, the page says what to do.
    return;
  }
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage(null);
  channel.close();
}

/** Wait until it is worth asking again: a page of this browser was let in, or somebody looks at this one. */
export function perhapsLetIn(): Promise<void> {
  return new Promise((resolve) => {
    const channel = new BroadcastChannel(CHANNEL);
    const end = () => {
      channel.close();
      clearInterval(timer);
      stop();
      resolve();
    };
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") end();
    }, EVERY_MS);
    const stop = onWake(end);
    channel.onmessage = end;
  });
}
