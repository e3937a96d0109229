// What does the model answer, and what happens inside for this input?
import { useState } from "preact/hooks";
import { Answer } from "./answer";
import type { Bench } from "./bench";
import { plain } from "./graph";
import { Fixed, type Live } from "./source";
import { TensorView } from "./tensor";
import { Progress } from "./progress";
import type { JobState } from "./types";

export function ActivationsPanel({ bench }: { bench: Bench }) {
  const { graph, source, digest, selected, dark, run } = bench, [job, setJob] = useState<JobState | null>(null), [error, setError] = useState("");
  const start = async (input: string) => {
    setError(""); bench.setRun(null);
    try { bench.setRun((await (source as Live).work("runs", { model: digest, input }, setJob)).result); } catch (fault) { setError((fault as Error).message); }
    setJob(null);
  };
  const file = async (chosen: File | undefined) => { if (!chosen) return; try { const id = await (source as Live).upload(chosen); bench.setInput(id); await start(id); } catch (fault) { setError((fault as Error).message); } };
  const item = graph.items[selected], key = bench.value || (item && item.value >= 0 ? graph.doc.values[item.value]![0] : "");
  return <section><h2>Activations</h2>
    {source.live && <p class="runs"><label class="button">Run a picture or array<input type="file" onChange={(e) => file(e.currentTarget.files?.[0])} /></label>
      {bench.input && <button onClick={() => start(bench.input)}>Run the given input</button>}<button onClick={() => start("random")}>Random input</button></p>}
    {graph.doc.obstacles.length > 0 && <p class="problem">{plain(graph.doc.obstacles[0]!)}</p>}
    {job && <Progress job={job} onStop={() => (source as Live).stop(job.job)} />}
    {error && <p class="problem" role="alert">{error}</p>}
    {run && <Answer run={run} />}
    {(run || source instanceof Fixed) && (key ? <><h3>{plain(key)}</h3><TensorView source={source} at={{ kind: "runs", id: run?.run ?? "", key }} dark={dark} /></> : <p class="hint">Select a box to see its value.</p>)}
    {!run && source.live && !job && <p class="hint">Drop a picture on the page, or run random numbers; then every box shows its value.</p>}
  </section>;
}
