// How do two tensors differ? Statistics, distributions and pictures of A, of B, and of B − A.
import { useEffect, useState } from "preact/hooks";
import { CompareHistogram } from "./compare_histogram";
import { CompareMaps } from "./compare_maps";
import type { Figures } from "./compare_match";
import { partOf } from "./compare_parts";
import { plain } from "./graph";
import { keep } from "./keep";
import type { Live, Ref } from "./source";
import { number } from "./number";
import type { Summary, Tensor } from "./types";

interface End { id: string; key: string }
interface Props {
  live: Live | null; /** What a report holds: statistics of A, B, and B − A. */ held?: Summary[] | null | undefined; kind: Ref["kind"]; a: End | null; b: End | null; /** Axes of A in the order of B. */ order: number[];
  title: string; said: string; figures: Figures | null; dark: boolean;
  /** Runs both models again, where the server forgot their values. */ again?: (() => void) | undefined;
}
interface Three<T> { a: T | null; b: T | null; moved: T | null }

const sizeOf = ({ shape }: Summary) => shape.reduce((p, q) => p * q, 1);

/** B is shown with its axes in the order of A. */
function refsOf({ kind, a, b, order }: Props): Three<Ref> {
  const moves = order.some((axis, i) => axis !== i), back = moves ? order.map((_, axis) => order.indexOf(axis)).join() : "";
  return { a: a && { kind, ...a }, b: b && { kind, ...b, order: back }, moved: a && b && { kind, ...b, order: back, minus: a.id, minusKey: a.key } };
}

export function CompareTensors(props: Props) {
  const { live, held, a, b, order, title, said, figures, dark, again } = props, name = [a?.id, a?.key, b?.id, b?.key, order.join()].join(" ");
  const [summary, setSummary] = useState<Three<Summary> | null>(null), [parts, setParts] = useState<Three<Tensor> | null>(null), [error, setError] = useState("");
  const refs = refsOf(props);
  useEffect(() => {
    let wanted = true;
    setSummary(held ? { a: held[0]!, b: held[1]!, moved: held[2] ?? null } : null); setParts(null); setError("");
    if (!live) { if (!held) setError("This report does not hold these numbers; `inspector open` with both files shows them."); return; }
    const start = async () => {
      const [one, two] = await Promise.all([refs.a && live.summary(refs.a), refs.b && live.summary(refs.b)]);
      const fits = one && two && sizeOf(one) === sizeOf(two), moved = fits ? await live.summary(refs.moved!) : null;
      if (!wanted) return;
      setSummary({ a: one, b: two, moved });
      const shape = (one ?? two)!.shape;
      if (one && two && one.shape.join() !== two.shape.join()) return;
      const part = (ref: Ref | null) => ref && live.data(ref, partOf(shape)), [first, second, third] = await Promise.all([part(refs.a), part(refs.b), moved && part(refs.moved)]);
      if (wanted) setParts({ a: first, b: second, moved: third });
    };
    start().catch((fault) => wanted && setError(fault.message));
    return () => { wanted = false; };
  }, [name]);
  const columns = summary ? ([["A", summary.a], ["B", summary.b], ["B − A", summary.moved]] as const).filter(([, found]) => found) : [];
  const rows: [string, (found: Summary) => string][] = [["shape", (s) => s.shape.join("×") || "scalar"], ["type", (s) => s.dtype], ["min", (s) => number(s.min)], ["max", (s) => number(s.max)], ["mean", (s) => number(s.mean)], ["std", (s) => number(s.std)], ["zeros", (s) => (s.zeros * 100).toFixed(1) + " %"]];
  return <section class="tensors"><h4>{plain(title)}</h4>{said && <p>{plain(said)}</p>}
    {figures && <p class="facts">largest |B − A| <b>{number(figures.max_abs)}</b>, relative L2 <b>{number(figures.relative_l2)}</b>, cosine <b>{number(figures.cosine)}</b></p>}
    {!summary && !error && <p class="waiting" role="status">Reading …</p>}
    {summary && <table class="beside figures"><thead><tr><td />{columns.map(([head]) => <th scope="col">{head}</th>)}</tr></thead><tbody>{rows.map(([head, cell]) => <tr><th scope="row">{head}</th>{columns.map(([, found]) => <td>{cell(found!)}</td>)}</tr>)}</tbody></table>}
    {summary && <CompareHistogram a={summary.a} b={summary.b} dark={dark} />}
    {parts && <CompareMaps {...parts} whole={(summary!.a ?? summary!.b)!.shape} dark={dark} />}
    {error && <p class="problem" role="alert">{error} {again && <button onClick={again}>Run both again</button>}</p>}
    {live && summary?.moved && <p><button onClick={async () => keep(await live.npy(refs.moved!), title + " B-A.npy")}>Save B − A as .npy</button></p>}
  </section>;
}
