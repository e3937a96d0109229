// What does the layout need to know of a graph? Its tree, its edges, and how wide each label is drawn.
import type { Graph } from "./graph";
import type { Problem } from "./layout";
import { blockTitle } from "./painter";
import { SHAPE_FONT, shapeOf } from "./shapes";

const PLAIN = "12px system-ui, sans-serif", BOLD = "600 12px system-ui, sans-serif", ROOM = 18, BLOCK_ROOM = 24, LEAST = 56, LEAST_BLOCK = 96;

export function problemOf(graph: Graph): Problem {
  const c = document.createElement("canvas").getContext("2d")!, widths = new Map<string, number>();
  const measure = (text: string, font: string) => {
    let w = widths.get(font + text);
    if (w === undefined) { c.font = font; widths.set(font + text, w = Math.ceil(c.measureText(text).width)); }
    return w;
  };
  return { parent: Int32Array.from(graph.doc.blocks, (row) => row[3]), block: Int32Array.from(graph.items, (item) => item.block),
    width: Float32Array.from(graph.items, (item) => Math.max(LEAST, measure(item.label, PLAIN) + ROOM)),
    blockWidth: Float32Array.from(graph.doc.blocks, (_, b) => Math.max(LEAST_BLOCK, measure("+ " + blockTitle(graph, b), BOLD) + BLOCK_ROOM)),
    source: graph.source, target: graph.target,
    tag: Float32Array.from(graph.source, (_, e) => { const shape = shapeOf(graph, e); return shape ? measure(shape, SHAPE_FONT) : 0; }) };
}
