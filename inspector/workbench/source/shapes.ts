// Which edges carry a shape, and where is it written?
import { cut, plain, type Graph } from "./graph";
import { PORTAL, type Placed } from "./layout";

export const SHAPE_FONT = "10px system-ui, sans-serif";
const LONGEST = 28, RIGHT = 5, BELOW = 13, ABOVE = 13, CHARACTER = 6, ROOM = 18;

/** The label of an edge: the shape of its value, "" where nothing is known or where it is that of the value above. */
export function shapeOf(graph: Graph, edge: number): string {
  const [, , shape] = graph.doc.values[graph.value[edge]!]!, before = graph.into[graph.source[edge]!]![0];
  if (!shape || shape === "?" || (before !== undefined && graph.doc.values[graph.value[before]!]![2] === shape)) return "";
  return cut(plain(shape), LONGEST);
}

export interface Label { text: string; x: number; y: number }

/** One label below each box whose edges carry the same shape; else one above each arrow that has room. */
export function labelsOf(graph: Graph, placed: Placed): (Label | null)[] {
  const texts = Array.from(placed.first, (first, e) => (placed.kind[e] === PORTAL ? "" : shapeOf(graph, first)));
  const common = new Map<number, string | null>();
  texts.forEach((text, e) => {
    const from = placed.from[e]!, known = common.get(from);
    if (text) common.set(from, known === undefined || known === text ? text : null);
  });
  const said = new Set<number>(), topped = new Set<number>();
  return texts.map((text, e) => {
    const from = placed.from[e]!, to = placed.to[e]!, p = placed.starts[e]!, q = placed.starts[e + 1]! - 1;
    if (!text) return null;
    if (common.get(from) !== null) {
      if (said.has(from)) return null;
      said.add(from);
      return { text, x: placed.points[2 * p]! + RIGHT, y: placed.points[2 * p + 1]! + BELOW };
    }
    if (topped.has(to) || CHARACTER * text.length > placed.w[to]! / 2 + ROOM) return null;
    topped.add(to);
    return { text, x: placed.points[2 * q]! + RIGHT, y: placed.points[2 * q + 1]! - ABOVE };
  });
}
