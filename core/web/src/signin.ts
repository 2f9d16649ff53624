// Coming in: a one-time code in the address's fragment, which no browser sends anywhere, becomes a cookie.

import { api } from "./api";

/** Use the code in the address, if there is one, and take it out of there. */
export async function useCode(): Promise<void> {
  const code = /^#code=([\w-]+)$/.exec(location.hash)?.[1];
  if (code === undefined) return;
  history.replaceState(null, "", location.pathname);
  // A code that is used up is no harm where the cookie is good; where it is not, the page says what to do.
  await api.login(code).catch(() => undefined);
}
