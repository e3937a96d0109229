// What leads to a box, and what follows from it? Every operator along the edges, however far.
import type { Graph } from "./graph";

export type Lineage = "" | "before" | "after" | "both";

/** The operators below a box, itself where it is one. */
export function itemsBelow(graph: Graph, id: number): number[] {
  const found: number[] = [], stack = [id], items = graph.items.length;
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (next < items) { found.push(next); continue; }
    found.push(...graph.own[next - items]!);
    stack.push(...graph.children[next - items]!.map((b) => b + items));
  }
  return found;
}

function walk(graph: Graph, from: number[], edges: number[][], end: Int32Array): Set<number> {
  const seen = new Set(from), stack = [...from];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) for (const e of edges[at]!) if (!seen.has(end[e]!)) { seen.add(end[e]!); stack.push(end[e]!); }
  return seen;
}

/** All boxes, open blocks around them included, on the ways to these, or from them. */
export function lineage(graph: Graph, ids: Iterable<number>, kind: "before" | "after"): Set<number> {
  const from = [...ids].flatMap((id) => itemsBelow(graph, id)), found = new Set<number>(), items = graph.items.length;
  for (const i of kind === "before" ? walk(graph, from, graph.into, graph.source) : walk(graph, from, graph.out, graph.target)) found.add(i);
  for (const i of [...found]) for (let b = graph.items[i]!.block; b > 0 && !found.has(b + items); b = graph.doc.blocks[b]![3]) found.add(b + items);
  return found;
}
