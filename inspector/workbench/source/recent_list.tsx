// Which files were opened lately? A list to open one again, or to forget them all.
import { useEffect, useState } from "preact/hooks";
import { plain } from "./graph";
import type { Models } from "./models";
import type { Live } from "./source";

interface Row { recent: string; name: string; folder: string; time: number }

export function RecentList({ models, live }: { models: Models; live: Live }) {
  const [rows, setRows] = useState<Row[]>([]);
  useEffect(() => { let on = true; live.json<{ recents: Row[] }>("recents").then((found) => on && setRows(found.recents)).catch(() => undefined); return () => { on = false; }; }, []);
  if (!rows.length) return null;
  const forget = async () => { try { await live.remove("recents"); setRows([]); } catch (fault) { models.fail((fault as Error).message); } };
  return <section class="recents"><h2>Opened lately</h2>
    <ul class="values">{rows.map((row) => <li key={row.recent}><button onClick={() => void models.again(row.recent)}>{plain(row.name)}</button> <small>{plain(row.folder)}, {new Date(row.time * 1000).toLocaleString()}</small></li>)}</ul>
    <button onClick={forget}>Forget them</button></section>;
}
