// Which parts of the input speak for the answer? Any methods, side by side, for any target.
import { useEffect, useState } from "preact/hooks";
import { ActionForm } from "./action_form";
import type { Bench } from "./bench";

export function AttributionPanel({ bench }: { bench: Bench }) {
  const { digest, models, schemas, input, run } = bench, source = bench.live!;
  const [methods, setMethods] = useState<string[]>([]), [chosen, setChosen] = useState<string[]>(["grad-cam"]), [target, setTarget] = useState("");
  useEffect(() => { source.work("actions/methods", {}, () => undefined).then((job) => setMethods(job.result.methods.map((m: any) => m.method))).catch(() => setMethods([])); }, []);
  const rows: any[] = run?.rankings?.[0]?.rows[0] ?? [], named = rows.find((row) => row.label === target);
  return <section><h2>Attribution</h2>
    <fieldset class="methods"><legend>Methods</legend>{methods.map((name) => <label key={name}><input type="checkbox" checked={chosen.includes(name)} onChange={() => setChosen(chosen.includes(name) ? chosen.filter((c) => c !== name) : [...chosen, name])} />{name}</label>)}</fieldset>
    <label class="field"><span>target</span><input list="targets" placeholder="top, a class number, or one of the best answers" value={target} onInput={(e) => setTarget(e.currentTarget.value)} /><datalist id="targets">{rows.map((row) => <option key={row.index} value={row.label || row.index} />)}</datalist></label>
    {schemas.attribute && <ActionForm name="attribute" schema={schemas.attribute} {...{ source, digest, models }} hide={["model", "method", "target", "device", "dtype"]}
      preset={{ input: input ? ["file:" + input] : ["random"], method: chosen, target: target ? [named ? String(named.index) : target] : undefined }} />}
  </section>;
}
