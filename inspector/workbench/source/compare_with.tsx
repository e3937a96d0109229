// Which model is B? One of the open ones, or a file.
import type { Bench } from "./bench";
import { cut, plain } from "./graph";

export function CompareWith({ bench }: { bench: Bench }) {
  const others = bench.models.filter((m) => m.model !== bench.digest);
  const open = async (event: Event) => {
    const field = event.currentTarget as HTMLInputElement, file = field.files?.[0];
    if (!file) return;
    const made = await bench.add(file);
    field.value = "";
    if (made === bench.digest) bench.fail("This file is the shown model itself, byte for byte.");
    else if (made) bench.setOther(made);
  };
  return <span class="with">
    {others.length > 0 && <select aria-label="Compare with" value={bench.other} onChange={(e) => bench.setOther(e.currentTarget.value)}>{others.map((m) => <option key={m.model} value={m.model}>{cut(plain(m.name), 40)}</option>)}</select>}
    <label class="button">Compare with …<input type="file" aria-label="Compare with a file" onChange={open} /></label></span>;
}
