// What did the model learn? Every stored tensor, and the chosen one in full.
import { plain, type Graph } from "./graph";
import type { Source } from "./source";
import { TensorView } from "./tensor";

interface Props { graph: Graph; source: Source; digest: string; selected: number; chosen: string; dark: boolean; onChoose(key: string): void }

export function WeightsPanel({ graph, source, digest, selected, chosen, dark, onChoose }: Props) {
  const node = graph.items[selected]?.node ?? null;
  const rows = node?.weights.length ? node.weights.map((w) => graph.doc.weights[w]!) : graph.doc.weights;
  const key = rows.some((row) => row[0] === chosen) ? chosen : node?.weights.length ? rows[0]![0] : "";
  if (!rows.length) return <p>The model stores no weights.</p>;
  return <section><h2>{node?.weights.length ? `Weights of ${node.op}` : `${rows.length.toLocaleString("en")} weights`}</h2>
    <ul class="values scrolling">{rows.slice(0, 500).map(([name, dtype, shape]) => <li key={name}><button class={name === key ? "chosen" : ""} onClick={() => onChoose(name)}>{plain(name)}</button> <small>{dtype} {shape.join("×") || "scalar"}</small></li>)}
      {rows.length > 500 && <li>… {rows.length - 500} more; select a node to see its own</li>}</ul>
    {key && <TensorView source={source} at={{ kind: "models", id: digest, key }} dark={dark} />}</section>;
}
