// What does the model answer, and what happens inside for this input?
import { useState } from "preact/hooks";
import { plain, type Graph } from "./graph";
import { Fixed, Live, type Source } from "./source";
import { TensorView, number } from "./tensor";
import { Progress } from "./progress";
import type { JobState } from "./types";

interface Props { graph: Graph; source: Source; digest: string; selected: number; value: string; dark: boolean; run: any; first: string; onRun(run: any): void; onInput(file: string, name: string): void; onValue(key: string): void }

export function ActivationsPanel(props: Props) {
  const { graph, source, digest, selected, dark, run } = props, [job, setJob] = useState<JobState | null>(null), [error, setError] = useState("");
  const start = async (input: string) => {
    setError(""); props.onRun(null);
    try { props.onRun((await (source as Live).work("runs", { model: digest, input }, setJob)).result); } catch (fault) { setError((fault as Error).message); }
    setJob(null);
  };
  const file = async (chosen: File | undefined) => { if (!chosen) return; try { const id = await (source as Live).upload(chosen); props.onInput(id, chosen.name); await start(id); } catch (fault) { setError((fault as Error).message); } };
  const item = graph.items[selected], key = props.value || (item && item.value >= 0 ? graph.doc.values[item.value]![0] : "");
  return <section><h2>Activations</h2>
    {source.live && <p class="runs"><label class="button">Run a picture or array<input type="file" onChange={(e) => file(e.currentTarget.files?.[0])} /></label>
      {props.first && <button onClick={() => start(props.first)}>Run the given input</button>}<button onClick={() => start("random")}>Random input</button></p>}
    {graph.doc.obstacles.length > 0 && <p class="problem">{plain(graph.doc.obstacles[0]!)}</p>}
    {job && <Progress job={job} onStop={() => (source as Live).stop(job.job)} />}
    {error && <p class="problem" role="alert">{error}</p>}
    {run && <Answer run={run} />}
    {(run || source instanceof Fixed) && (key ? <><h3>{plain(key)}</h3><TensorView source={source} at={{ kind: "runs", id: run?.run ?? "", key }} dark={dark} /></> : <p class="hint">Select a box to see its value.</p>)}
    {!run && source.live && !job && <p class="hint">Drop a picture on the page, or run random numbers; then every box shows its value.</p>}
  </section>;
}

export function Answer({ run }: { run: any }) {
  const ranking = run.rankings[0];
  return <>{ranking ? <table class="answer"><tbody>{ranking.rows[0].slice(0, 5).map((row: any) => <tr key={row.index}><td>{row.probability === null ? number(row.score) : (row.probability * 100).toFixed(1) + " %"}</td><td>{row.probability !== null && <meter min={0} max={1} value={row.probability} />}</td><td>{plain(row.label || String(row.index))}</td></tr>)}</tbody></table>
    : <p>No output has the shape of classes.</p>}{run.notes.map((note: string) => <p class="hint">{plain(note)}</p>)}</>;
}
