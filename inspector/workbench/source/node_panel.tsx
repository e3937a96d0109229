// What is the selected box? Its attributes, inputs, outputs, weights and source layer.
import type { Bench } from "./bench";
import { ExtractButton } from "./extract_button";
import { Facts } from "./facts";
import { plain } from "./graph";
import { MarkedList } from "./marked_list";
import { OperatorDoc } from "./operator_doc";
import { Overview } from "./overview";
import { short } from "./painter";

export function NodePanel({ bench }: { bench: Bench }) {
  const { graph, selected, show: onSelect } = bench, { doc, items } = graph;
  const onValue = (key: string) => { bench.setValue(key); bench.setView("activations"); };
  const onWeight = (key: string) => { bench.setWeight(key); bench.setView("weights"); };
  if (bench.marked.size) return <MarkedList bench={bench} />;
  if (selected < 0) return <Overview graph={graph} />;
  if (selected >= items.length) {
    const b = selected - items.length, row = doc.blocks[b]!;
    return <section><h2>{plain(row[1] || "block")}{row[4] > 1 ? ` ×${row[4]}` : ""}</h2><p class="path">{plain(row[0])}</p>
      <Facts rows={[["class", row[2]], ["operators", String(graph.count[b])], ["parameters", graph.parameters[b]!.toLocaleString("en")], ["multiply-adds", short(graph.macs[b]!)]]} />
      <ExtractButton bench={bench} /><p class="hint">Double click or Enter opens it.</p></section>;
  }
  const item = items[selected]!, node = item.node;
  const value = (number: number) => { const [key, dtype, shape] = doc.values[number]!; return <li key={key}><button onClick={() => onValue(key)}>{plain(key)}</button> <small>{dtype} {shape}</small></li>; };
  if (!node) return <section><h2>{item.key.startsWith("input:") ? "Input" : "Output"}</h2><ul class="values">{value(item.value)}</ul></section>;
  const jump = (edges: number[], end: Int32Array) => [...new Set(edges.map((e) => end[e]!))].map((i) => <li key={i}><button onClick={() => onSelect(i)}>{items[i]!.label}</button> <small>{plain(items[i]!.key).slice(0, 50)}</small></li>);
  return <section>
    <h2>{plain(node.op)}</h2><p class="path">{plain(node.key)}</p>
    <Facts rows={[["domain", node.domain], ["layer", node.scope], ["class", node.class], ["parameters", node.parameters ? node.parameters.toLocaleString("en") : ""], ["multiply-adds", node.macs ? short(node.macs) : ""]]} />
    <ExtractButton bench={bench} />
    {node.attributes.length > 0 && <><h3>Attributes</h3><Facts rows={node.attributes} /></>}
    {node.weights.length > 0 && <><h3>Weights</h3><ul class="values">{node.weights.map((w) => { const [key, dtype, shape] = doc.weights[w]!; return <li key={key}><button onClick={() => onWeight(key)}>{plain(key)}</button> <small>{dtype} {shape.join("×") || "scalar"}</small></li>; })}</ul></>}
    <h3>Inputs</h3><ul class="values">{node.inputs.map(value)}</ul>
    <h3>Outputs</h3><ul class="values">{node.outputs.map(value)}</ul>
    <h3>From</h3><ul class="values">{jump(graph.into[selected]!, graph.source)}</ul>
    <h3>To</h3><ul class="values">{jump(graph.out[selected]!, graph.target)}</ul>
    {bench.live && <OperatorDoc live={bench.live} digest={bench.digest} nodeKey={node.key} />}
  </section>;
}
