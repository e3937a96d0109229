// Which parts of the input speak for the answer? Any methods, side by side, for any targets.
import { useEffect, useState } from "preact/hooks";
import { ActionForm } from "./action_form";
import { AttributionMaps } from "./attribution_maps";
import type { Bench } from "./bench";
import { TargetPicker } from "./target_picker";

export function AttributionPanel({ bench }: { bench: Bench }) {
  const { digest, models, schemas, input, run, explaining, explain } = bench, source = bench.live!, { methods: chosen, targets, answer } = explaining;
  const [methods, setMethods] = useState<string[]>([]), [error, setError] = useState("");
  useEffect(() => { source.work("actions/methods", {}, () => undefined).then((job) => setMethods(job.result.methods.map((m: any) => m.method))).catch((fault) => setError(fault.message)); }, []);
  const best: number[] = (run?.rankings?.[0]?.rows[0] ?? []).map((row: any) => row.index);
  const swap = (name: string) => explain({ methods: chosen.includes(name) ? chosen.filter((c) => c !== name) : [...chosen, name] });
  return <section><h2>Attribution</h2>
    {error && <p class="problem" role="alert">{error}</p>}
    <TargetPicker live={source} {...{ digest, best }} chosen={targets} onChoose={(next) => explain({ targets: next })} />
    <fieldset class="methods"><legend>Methods</legend>{methods.map((name) => <label key={name}><input type="checkbox" checked={chosen.includes(name)} onChange={() => swap(name)} />{name}</label>)}</fieldset>
    {schemas.attribute && <ActionForm folded name="attribute" schema={schemas.attribute} {...{ source, digest, models }} hide={["model", "method", "target", "device", "dtype"]} onAnswer={(made) => explain({ answer: made })}
      preset={{ input: input ? ["file:" + input] : ["random"], method: chosen, target: targets.length ? targets : undefined }} />}
    {answer && <AttributionMaps answer={answer} live={source} />}
  </section>;
}
