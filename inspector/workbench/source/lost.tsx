// Is the server gone? A banner for as long as it does not answer; it asks again by itself.
import { useEffect, useState } from "preact/hooks";
import type { Live } from "./source";

const PAUSE = 2000, PULSE = 10_000;

export function Lost({ live }: { live: Live }) {
  const [lost, setLost] = useState(false), [tries, setTries] = useState(0);
  useEffect(() => { live.onLost = setLost; return () => { live.onLost = () => undefined; }; }, [live]);
  useEffect(() => {
    const ask = () => { setTries((n) => n + 1); void live.ask("recents").catch(() => undefined); };
    const timer = setInterval(ask, lost ? PAUSE : PULSE);
    return () => clearInterval(timer);
  }, [live, lost]);
  useEffect(() => { if (!lost) setTries(0); }, [lost]);
  return lost ? <p class="problem banner lost" role="status">The server is gone; asking again{tries ? ` (${tries})` : ""}. Where it does not come back, start <code>inspector open</code> again and open the address it shows. What is on the page stays.
    {" "}<button onClick={() => void live.ask("recents").catch(() => undefined)}>Ask now</button></p> : null;
}
