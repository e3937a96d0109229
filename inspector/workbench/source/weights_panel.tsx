// What did the model learn? Every stored tensor, and the chosen one in full.
import type { Bench } from "./bench";
import { WeightBeside } from "./compare_weight";
import { plain } from "./graph";
import { TensorView } from "./tensor";

export function WeightsPanel({ bench }: { bench: Bench }) {
  const { graph, source, digest, selected, dark, weight: chosen, setWeight: onChoose } = bench;
  const node = graph.items[selected]?.node ?? null;
  const rows = node?.weights.length ? node.weights.map((w) => graph.doc.weights[w]!) : graph.doc.weights;
  const key = rows.some((row) => row[0] === chosen) ? chosen : node?.weights.length ? rows[0]![0] : "";
  if (!rows.length) return <p>The model stores no weights.</p>;
  return <section><h2>{node?.weights.length ? `Weights of ${node.op}` : `${rows.length.toLocaleString("en")} weights`}</h2>
    <ul class="values scrolling">{rows.slice(0, 500).map(([name, dtype, shape]) => <li key={name}><button class={name === key ? "chosen" : ""} onClick={() => onChoose(name)}>{plain(name)}</button> <small>{dtype} {shape.join("×") || "scalar"}</small></li>)}
      {rows.length > 500 && <li>… {rows.length - 500} more; select a node to see its own</li>}</ul>
    {key && <TensorView source={source} at={{ kind: "models", id: digest, key }} dark={dark} />}
    {key && <WeightBeside bench={bench} of={key} />}</section>;
}
