// Puts a session's terminal into the page. The element is the session's own and outlives every drawing.

import { useLayoutEffect, useRef } from "preact/hooks";
import type { Role } from "../screen";
import type { Session } from "../session";

export function Mount({ session, role }: { session: Session; role: Role | null }) {
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    place.current?.append(session.screen.host);
  }, [session]);
  useLayoutEffect(() => session.show(role), [session, role]);
  return <div class="mount" ref={place} />;
}
