// How does the chosen weight differ from the other model's? The pair's figures and pictures, asked for when opened.
import { useState } from "preact/hooks";
import type { Bench } from "./bench";
import { useComparison } from "./compare_answer";
import { CompareTensors } from "./compare_tensors";
import { cut, plain } from "./graph";
import { Progress } from "./progress";

export function WeightBeside({ bench, of }: { bench: Bench; of: string }) {
  const [open, setOpen] = useState(false), name = bench.models.find((m) => m.model === bench.other)?.name ?? "";
  if (!bench.live || !bench.other) return null;
  return <details class="besides" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}><summary>Beside its partner in {cut(plain(name), 40)}</summary>{open && <Partner bench={bench} of={of} />}</details>;
}

function Partner({ bench, of }: { bench: Bench; of: string }) {
  const { match, job, error, stop, again } = useComparison(bench);
  if (error) return <p class="problem" role="alert">{error} <button onClick={again}>Try again</button></p>;
  if (!match) return job ? <Progress job={job} onStop={stop} /> : <p class="waiting" role="status">Comparing …</p>;
  const rows = match.record.weights.filter((row) => row.a === of), held = new Set(match.b.graph.doc.weights.map((row) => row[0]));
  if (!rows.length) return <p class="hint">No weight of the other model belongs to it.</p>;
  return <>{rows.map((row) => <CompareTensors key={row.b} live={bench.live!} kind="models" dark={bench.dark} a={{ id: bench.digest, key: row.a }} b={held.has(row.b) ? { id: bench.other, key: row.b } : null}
    order={row.order} figures={row.difference} title={`${row.a} ↔ ${row.b}`} said={[row.state, row.detail].filter(Boolean).join(": ")} />)}</>;
}
