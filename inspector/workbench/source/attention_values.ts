// Which values are attention weights? Softmax outputs over products of queries and keys, one matrix a head.
import type { Graph } from "./graph";

/** What may stand between the product and the softmax: scale, mask, soft cap. */
const PASSING = new Set(["Add", "Sub", "Mul", "Div", "Where", "Cast", "Reshape", "Identity", "Max", "Clip", "Tanh"]);
const PRODUCT = new Set(["MatMul", "Einsum"]);

/** Whether the first output of an item is one. */
export function isAttention(graph: Graph, item: number): boolean {
  const node = graph.items[item]?.node;
  if (node?.op !== "Softmax") return false;
  const axis = node.attributes.find(([name]) => name === "axis")?.[1] ?? "-1", waiting = [item], seen = new Set(waiting);
  if (axis !== "-1" && Number(axis) < 2) return false;
  while (waiting.length) {
    for (const edge of graph.into[waiting.pop()!]!) {
      const before = graph.source[edge]!, found = graph.items[before]!.node;
      if (!found || seen.has(before)) continue;
      seen.add(before);
      if (PRODUCT.has(found.op) && found.inputs.length > 1) return true;
      if (PASSING.has(found.op)) waiting.push(before);
    }
  }
  return false;
}
