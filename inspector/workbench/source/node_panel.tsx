// What is the selected box? Its attributes, inputs, outputs, weights and source layer.
import { useEffect, useState } from "preact/hooks";
import type { Bench } from "./bench";
import { ExtractButton } from "./extract_button";
import { plain, type Graph } from "./graph";
import { short } from "./painter";
import type { Live } from "./source";

export function NodePanel({ bench }: { bench: Bench }) {
  const { graph, selected, show: onSelect } = bench, { doc, items } = graph;
  const onValue = (key: string) => { bench.setValue(key); bench.setView("activations"); };
  const onWeight = (key: string) => { bench.setWeight(key); bench.setView("weights"); };
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
    {bench.live && <Doc live={bench.live} digest={bench.digest} nodeKey={node.key} />}
  </section>;
}

function Doc({ live, digest, nodeKey }: { live: Live; digest: string; nodeKey: string }) {
  const [text, setText] = useState("");
  useEffect(() => { let on = true; setText(""); live.json<{ doc: string }>(`models/${digest}/operator?key=${encodeURIComponent(nodeKey)}`).then((r) => on && setText(r.doc)).catch(() => on && setText("")); return () => { on = false; }; }, [nodeKey, digest]);
  return text ? <details><summary>What the operator does</summary><pre>{text}</pre></details> : null;
}

function Overview({ graph }: { graph: Graph }) {
  const { doc } = graph;
  return <section><h2>{plain(doc.name)}</h2>
    <Facts rows={[["format", [doc.origin.format, doc.origin.version].filter(Boolean).join(" ")], ["framework", doc.origin.framework], ["producer", doc.producer], ["opset", Object.entries(doc.opsets).map(([d, v]) => `${d} ${v}`).join(", ")],
      ["operators", doc.nodes.length.toLocaleString("en")], ["parameters", doc.parameters.toLocaleString("en")], ["multiply-adds", doc.macs ? short(doc.macs) : ""]]} />
    {doc.obstacles.length > 0 && <><h3>Cannot be executed</h3>{doc.obstacles.map((why) => <p class="problem">{plain(why)}</p>)}</>}
    {doc.notes.length > 0 && <><h3>Notes</h3>{doc.notes.map((note) => <p>{plain(note)}</p>)}</>}
    <p class="hint">Click a box to see what it is. Double click opens a block; drag or scroll to move, Ctrl and scroll to zoom.</p></section>;
}

export function Facts({ rows }: { rows: (readonly [string, string])[] }) {
  return <table class="rows"><tbody>{rows.filter(([, v]) => v).map(([name, v]) => <tr key={name}><th scope="row">{plain(name)}</th><td>{plain(v)}</td></tr>)}</tbody></table>;
}
