// What does the model answer, and what happens inside for this input, or between two of them?
import { useState } from "preact/hooks";
import { Answer } from "./answer";
import { isAttention } from "./attention_values";
import type { Bench } from "./bench";
import { Beside } from "./beside";
import { plain } from "./graph";
import { Progress } from "./progress";
import { Fixed } from "./source";
import { TensorView } from "./tensor";
import { useTokens } from "./tokens";
import type { JobState } from "./types";

const SHOWN = { beside: "side by side", this: "this", other: "other", difference: "this − other" };

export function ActivationsPanel({ bench }: { bench: Bench }) {
  const { graph, source, live, digest, selected, dark, run, against } = bench, [job, setJob] = useState<JobState | null>(null), [error, setError] = useState(""), [shown, setShown] = useState<keyof typeof SHOWN>("beside");
  const start = async (input: string, keep: (run: any) => void) => {
    setError(""); keep(null);
    try { keep((await live!.work("runs", { model: digest, input }, setJob)).result); } catch (fault) { setError((fault as Error).message); }
    setJob(null);
  };
  const alone = (input: string) => { bench.setAgainst(null); return start(input, bench.setRun); };
  const file = async (chosen: File | undefined, use: (id: string) => Promise<void>) => { if (!chosen) return; try { await use(await live!.upload(chosen)); } catch (fault) { setError((fault as Error).message); } };
  const second = (id: string) => start(id, bench.setAgainst);
  const item = graph.items[selected], key = bench.value || (item && item.value >= 0 ? graph.doc.values[item.value]![0] : ""), tokens = useTokens(bench);
  const maker = graph.items.findIndex(({ node }) => node !== null && node.outputs.length > 0 && graph.doc.values[node.outputs[0]!]![0] === key);
  const one = { kind: "runs" as const, id: run?.run ?? "", key }, other = against && { ...one, id: against.run }, at = other && shown === "other" ? other : other && shown === "difference" ? { ...one, minus: other.id } : one;
  return <section><h2>Activations</h2>
    {live && <p class="runs"><label class="button">Run a picture or array<input type="file" onChange={(e) => file(e.currentTarget.files?.[0], (id) => { bench.setInput(id); return alone(id); })} /></label>
      {bench.input && <button onClick={() => alone(bench.input)}>Run the given input</button>}<button onClick={() => alone("random")}>Random input</button>
      {run && <label class="button">Compare with another input<input type="file" onChange={(e) => file(e.currentTarget.files?.[0], second)} /></label>}
      {against && <button onClick={() => bench.setAgainst(null)}>Only this input</button>}</p>}
    {graph.doc.obstacles.length > 0 && <p class="problem">{plain(graph.doc.obstacles[0]!)}</p>}
    {job && <Progress job={job} onStop={() => live!.stop(job.job)} />}
    {error && <p class="problem" role="alert">{error}</p>}
    {run && against ? <div class="two"><div><h3>This input</h3><Answer run={run} /></div><div><h3>The other input</h3><Answer run={against} /></div></div> : run && <Answer run={run} />}
    {against && <p class="runs" role="radiogroup" aria-label="Which input">{Object.entries(SHOWN).map(([one, said]) => <label key={one}><input type="radio" name="shown" checked={shown === one} onChange={() => setShown(one as keyof typeof SHOWN)} /> {said}</label>)}</p>}
    {(run || source instanceof Fixed) && (key ? <><h3>{plain(key)}</h3>{other && shown === "beside" ? <Beside live={live!} {...{ one, other, dark }} /> : <TensorView {...{ source, at, dark }} heads={isAttention(graph, maker) ? tokens : null} />}</> : <p class="hint">Select a box to see its value.</p>)}
    {!run && live && !job && <p class="hint">Drop a picture on the page, or run random numbers; then every box shows its value.</p>}
  </section>;
}
