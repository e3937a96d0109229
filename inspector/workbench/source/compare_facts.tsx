// In which attributes do two nodes differ? Both columns side by side, what differs in bold.
// An attribute that one file leaves out stands for its default: that counts only where the structure differs.
import { plain, type Graph } from "./graph";
import type { Chosen } from "./compare_view";

export function CompareFacts({ a, b, chosen, strict }: { a: Graph; b: Graph; chosen: Chosen; strict: boolean }) {
  const sides = [factsOf(a, chosen[0]), factsOf(b, chosen[1])] as const, names = [...new Set([...sides[0].keys(), ...sides[1].keys()])];
  const lone = !sides[0].size || !sides[1].size;
  return <table class="beside"><thead><tr><td /><th scope="col">A</th><th scope="col">B</th></tr></thead><tbody>{names.map((name) => {
    const [one, two] = [sides[0].get(name) ?? "", sides[1].get(name) ?? ""], differs = !lone && one !== two && (strict || Boolean(one && two)) && !NAMES.has(name);
    return <tr key={name} class={differs ? "differs" : ""}><th scope="row">{plain(name)}</th><td>{plain(one)}</td><td>{plain(two)}</td></tr>;
  })}</tbody></table>;
}

/** Rows that differ between files without meaning a difference. */
const NAMES = new Set(["name", "layer", "class", "domain"]);

function factsOf(graph: Graph, id: number): Map<string, string> {
  const item = graph.items[id], { doc } = graph;
  if (!item) return new Map();
  const shape = (value: number) => { const [, dtype, text] = doc.values[value]!; return `${dtype} ${text}`; };
  const rows: [string, string][] = [["name", item.key]], { node } = item;
  if (!node) rows.push(["value", shape(item.value)]);
  else rows.push(["operator", node.op], ["domain", node.domain], ["layer", node.scope], ["class", node.class], ["inputs", node.inputs.map(shape).join("; ")], ["outputs", node.outputs.map(shape).join("; ")],
    ["weights", node.weights.map((w) => { const [, dtype, size] = doc.weights[w]!; return `${dtype} ${size.join("×") || "scalar"}`; }).join("; ")], ["parameters", node.parameters ? node.parameters.toLocaleString("en") : ""], ...node.attributes);
  return new Map(rows.filter(([, text]) => text));
}
