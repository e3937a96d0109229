// Which boxes and edges can be drawn? Nodes, inputs and outputs in order, and the tree of blocks.
import type { BlockRow, ModelDocument, NodeRow } from "./types";

export interface Item { key: string; label: string; family: string; block: number; node: NodeRow | null; value: number }
export interface Graph {
  doc: ModelDocument; items: Item[]; source: Int32Array; target: Int32Array; value: Int32Array;
  children: number[][]; own: number[][]; count: Int32Array; parameters: Float64Array; macs: Float64Array; depth: Int32Array;
  byKey: Map<string, number>; into: number[][]; out: number[][];
}

export function cut(text: string, length: number): string {
  return text.length > length ? text.slice(0, length - 1) + "…" : text;
}

/** Control and direction characters would let a name pretend to be another. */
export function plain(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "·");
}

function labelOf(doc: ModelDocument, row: NodeRow): string {
  const first = row.weights.length ? doc.weights[row.weights[0]!]! : null;
  const shaped = first && first[2].length > 1 && row.family === "linear" ? " " + first[2].join("×") : "";
  return cut(plain(row.op), 28) + shaped;
}

export function build(doc: ModelDocument): Graph {
  const items: Item[] = [];
  const producer = new Map<number, number>();
  const ends = (value: number, prefix: string): Item => ({
    key: prefix + doc.values[value]![0], label: cut(plain(doc.values[value]![0]), 32), family: "", block: 0, node: null, value });
  for (const value of doc.inputs) { producer.set(value, items.length); items.push(ends(value, "input:")); }
  const first = items.length;
  doc.nodes.forEach((node, i) => {
    items.push({ key: node.key, label: labelOf(doc, node), family: node.family, block: node.block, node, value: node.outputs[0] ?? -1 });
    for (const value of node.outputs) producer.set(value, first + i);
  });
  const source: number[] = [], target: number[] = [], carried: number[] = [];
  const link = (value: number, to: number) => {
    const from = producer.get(value);
    if (from !== undefined && from !== to) { source.push(from); target.push(to); carried.push(value); }
  };
  const constants = new Map(doc.nodes.flatMap((node) => (node.op === "Constant" ? node.outputs.map((value): [string, number] => [doc.values[value]![0], value]) : [])));
  doc.nodes.forEach((node, i) => {
    const held = node.weights.flatMap((row) => constants.get(doc.weights[row]![0]) ?? []);
    for (const value of new Set([...node.inputs, ...held])) link(value, first + i);
  });
  for (const value of doc.outputs) { items.push(ends(value, "output:")); link(value, items.length - 1); }
  return finish(doc, items, source, target, carried);
}

function finish(doc: ModelDocument, items: Item[], source: number[], target: number[], carried: number[]): Graph {
  const blocks: BlockRow[] = doc.blocks;
  const children: number[][] = blocks.map(() => []), own: number[][] = blocks.map(() => []);
  const count = new Int32Array(blocks.length), depth = new Int32Array(blocks.length);
  const parameters = new Float64Array(blocks.length), macs = new Float64Array(blocks.length);
  blocks.forEach((row, b) => { if (row[3] >= 0) { children[row[3]]!.push(b); depth[b] = depth[row[3]]! + 1; } });
  items.forEach((item, i) => {
    own[item.block]!.push(i);
    if (item.node) { count[item.block]!++; parameters[item.block]! += item.node.parameters; macs[item.block]! += item.node.macs ?? 0; }
  });
  for (let b = blocks.length - 1; b > 0; b--) {
    const parent = blocks[b]![3];
    count[parent]! += count[b]!; parameters[parent]! += parameters[b]!; macs[parent]! += macs[b]!;
  }
  const into: number[][] = items.map(() => []), out: number[][] = items.map(() => []);
  source.forEach((from, e) => { out[from]!.push(e); into[target[e]!]!.push(e); });
  return { doc, items, source: Int32Array.from(source), target: Int32Array.from(target), value: Int32Array.from(carried),
    children, own, count, parameters, macs, depth, byKey: new Map(items.map((item, i) => [item.key, i])), into, out };
}

/** Breadth first, until about so many boxes would show. */
export function firstOpen(graph: Graph, most = 50): Set<number> {
  const open = new Set<number>([0]);
  let shown = graph.own[0]!.length + graph.children[0]!.length;
  for (let level = [0]; level.length;) {
    const next = level.flatMap((b) => graph.children[b]!.filter((c) => graph.doc.blocks[c]![4] === 1));
    const more = next.reduce((sum, b) => sum + graph.own[b]!.length + graph.children[b]!.length, 0);
    if (!next.length || shown + more > most) break;
    for (const b of next) open.add(b);
    shown += more;
    level = next;
  }
  return open;
}
