// Which model is B? One of the open ones, or a file.
import { useEffect, useState } from "preact/hooks";
import type { Bench } from "./bench";
import { cut, plain } from "./graph";

export function CompareWith({ bench }: { bench: Bench }) {
  const others = bench.models.filter((m) => m.model !== bench.digest);
  const [recents, setRecents] = useState<{ recent: string; name: string; folder: string }[]>([]);
  useEffect(() => { let wanted = true; bench.live!.json<{ recents: typeof recents }>("recents").then((found) => wanted && setRecents(found.recents)).catch(() => undefined); return () => { wanted = false; }; }, []);
  const open = async (field: { value: string }, file: File | string | undefined) => {
    field.value = "";
    if (!file) return;
    const made = await bench.add(file);
    if (made === bench.digest) bench.fail("This file is the shown model itself, byte for byte.");
    else if (made) bench.setOther(made);
  };
  return <span class="with">
    {others.length > 0 && <select aria-label="Compare with" value={bench.other} onChange={(e) => bench.setOther(e.currentTarget.value)}>{others.map((m) => <option key={m.model} value={m.model}>{cut(plain(m.name), 40)}</option>)}</select>}
    {recents.length > 0 && <select aria-label="Compare with a file opened lately" value="" onChange={(e) => open(e.currentTarget, e.currentTarget.value)}><option value="">Recent</option>{recents.map((row) => <option key={row.recent} value={row.recent} title={plain(row.folder)}>{cut(plain(row.name), 40)}</option>)}</select>}
    <label class="button">Compare with …<input type="file" aria-label="Compare with a file" onChange={(e) => open(e.currentTarget, e.currentTarget.files?.[0])} /></label></span>;
}
