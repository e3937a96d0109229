// Which box of A is which box of B, and how do they differ? The server's comparison, by item and block numbers.
import type { Graph } from "./graph";
import { rankOf, stateOf, type Kind } from "./compare_states";

export interface Figures { max_abs: number | null; relative_l2: number | null; cosine: number | null }
export interface NodeRecord {
  key: string; operator: string; kind: Kind; partners: string[]; pair: number | null; reasons: string[]; first_divergence: boolean;
  weights: (Figures & { states: string[]; differ: number; at: number[] }) | null; activation: (Figures & { agrees: boolean; at: number }) | null;
}
export interface WeightRecord { a: string; b: string; state: string; detail: string; values: number; order: number[]; difference: Figures | null }
export interface ValueRecord { a: string; b: string; agrees: boolean; order: number[]; limit: number; difference: Figures | null }
export interface ComparisonRecord {
  verdict: string; same: boolean; notes: string[]; weights: WeightRecord[]; activations: ValueRecord[]; outputs: ValueRecord[];
  only_a: { key: string }[]; only_b: { key: string }[];
  pairs: { a: { key: string; nodes: string[] }; b: { key: string; nodes: string[] }; evidence: string[]; confidence: number; ambiguous: boolean }[];
  first_divergence: { cause: string; reason: string } | null; nodes: { a: NodeRecord[]; b: NodeRecord[] };
}

/** By item number, then by items + block number. */
export interface Side { graph: Graph; kinds: (Kind | null)[]; records: (NodeRecord | null)[]; partners: number[][] }
export interface DifferenceRow {
  kind: Kind; a: number[]; b: number[]; reason: string; first: boolean; weights: number | null; values: number | null;
  /** Where neither file has nodes: the names of both weights, and their place in `weights` or -1. */ names?: readonly [string, string]; at?: number;
}
export interface Match { record: ComparisonRecord; a: Side; b: Side; rows: DifferenceRow[]; counts: Map<Kind, number> }

export function matchOf(record: ComparisonRecord, a: Graph, b: Graph): Match {
  const sides = { a: sideOf(marked(a, record.nodes.a), record.nodes.a), b: sideOf(marked(b, record.nodes.b), record.nodes.b) };
  join(sides.a, b); join(sides.b, a);
  ends(record, sides.a, sides.b);
  meet(sides.a, b); meet(sides.b, a);
  const bare = !a.doc.nodes.length && !b.doc.nodes.length, rows = bare ? weightRows(record) : rowsOf(record, sides.a, sides.b), counts = new Map<Kind, number>();
  for (const row of rows) counts.set(row.kind, (counts.get(row.kind) ?? 0) + 1);
  return { record, ...sides, rows, counts };
}

function marked(graph: Graph, records: NodeRecord[]): Graph {
  const marks = new Map(records.map((row) => [row.key, stateOf(row.kind).mark]));
  return { ...graph, items: graph.items.map((item) => ({ ...item, label: (item.node ? marks.get(item.key) ?? "" : "") + item.label })) };
}

function sideOf(graph: Graph, rows: NodeRecord[]): Side {
  const items = graph.items.length, size = items + graph.doc.blocks.length;
  const kinds: (Kind | null)[] = Array(size).fill(null), records: (NodeRecord | null)[] = Array(size).fill(null);
  for (const row of rows) { const i = graph.byKey.get(row.key); if (i !== undefined) { kinds[i] = row.kind; records[i] = row; } }
  const grave = (at: number, kind: Kind | null) => { if (kind && (!kinds[at] || rankOf(kind) < rankOf(kinds[at]!))) kinds[at] = kind; };
  graph.items.forEach((item, i) => grave(items + item.block, kinds[i]!));
  for (let b = graph.doc.blocks.length - 1; b > 0; b--) grave(items + graph.doc.blocks[b]![3], kinds[items + b]!);
  return { graph, kinds, records, partners: Array.from({ length: size }, () => []) };
}

/** Where several nodes form one layer, as MatMul and Add, those of one operator belong together. */
function join(side: Side, other: Graph): void {
  side.records.forEach((row, i) => {
    const found = row ? row.partners.flatMap((key) => other.byKey.get(key) ?? []) : [], alike = found.filter((j) => other.items[j]!.node?.op === row?.operator);
    side.partners[i] = alike.length ? alike : found;
  });
}

/** Outputs by the comparison, inputs in their order where there are as many. */
function ends(record: ComparisonRecord, a: Side, b: Side): void {
  const link = (one: string, two: string) => {
    const i = a.graph.byKey.get(one), j = b.graph.byKey.get(two);
    if (i !== undefined && j !== undefined) { a.partners[i]!.push(j); b.partners[j]!.push(i); }
  };
  for (const row of record.outputs) link("output:" + row.a, "output:" + row.b);
  const inputs = [a, b].map(({ graph }) => graph.doc.inputs.map((value) => "input:" + graph.doc.values[value]![0]));
  if (inputs[0]!.length === inputs[1]!.length) inputs[0]!.forEach((key, i) => link(key, inputs[1]![i]!));
}

/** A block's partner is the block of the other side that shares most of its nodes. */
function meet(side: Side, other: Graph): void {
  const { graph, partners } = side, items = graph.items.length, shared = graph.doc.blocks.map(() => new Map<number, number>());
  graph.items.forEach((item, i) => {
    for (let mine = item.block; mine > 0; mine = graph.doc.blocks[mine]![3]) for (const j of partners[i]!) {
      for (let b = other.items[j]!.block; b > 0; b = other.doc.blocks[b]![3]) shared[mine]!.set(b, (shared[mine]!.get(b) ?? 0) + 1);
    }
  });
  shared.forEach((counts, mine) => {
    const share = (b: number) => counts.get(b)! / (graph.count[mine]! + other.count[b]! - counts.get(b)!);
    const best = [...counts.keys()].sort((p, q) => share(q) - share(p) || q - p)[0];
    if (best !== undefined && share(best) > 0.3) partners[items + mine] = [other.items.length + best];
  });
}

/** One row a pair or lone node, in the order of A; what only B has follows what it follows there. */
function rowsOf(record: ComparisonRecord, a: Side, b: Side): DifferenceRow[] {
  const numbers = (side: Side, keys: string[]) => keys.flatMap((key) => side.graph.byKey.get(key) ?? []);
  const rows: (DifferenceRow & { at: number })[] = [], seen = new Set<number>();
  const add = (row: NodeRecord, one: number[], two: number[], at: number) => rows.push({ kind: row.kind, a: one, b: two, reason: row.reasons.join("; "), first: row.first_divergence,
    weights: row.weights?.differ ? row.weights.relative_l2 : null, values: row.activation && !row.activation.agrees ? row.activation.relative_l2 : null, at });
  a.records.forEach((row, i) => {
    if (!row || row.kind === "ignored" || (row.pair !== null && seen.has(row.pair))) return;
    if (row.pair === null) { add(row, [i], [], i); return; }
    seen.add(row.pair);
    const pair = record.pairs[row.pair]!;
    add(row, numbers(a, pair.a.nodes), numbers(b, pair.b.nodes), i);
  });
  let last = -1;
  b.records.forEach((row, j) => { if (row?.kind === "only_b") add(row, [], [j], last + 0.5); else last = Math.max(last, ...b.partners[j]!); });
  return rows.sort((p, q) => p.at - q.at);
}

/** Of two files that hold weights only. */
function weightRows(record: ComparisonRecord): DifferenceRow[] {
  const row = (kind: Kind, one: string, two: string, at: number, reason: string, weights: number | null): DifferenceRow => ({ kind, a: [], b: [], names: [one, two], at, reason, first: false, weights, values: null });
  return [...record.weights.map((found, at) => { const same = ["equal", "folded", "layout"].includes(found.state);
    return row(same ? "equal" : "weights", found.a, found.b, at, [found.state, found.detail].filter(Boolean).join(": "), same ? null : found.difference?.relative_l2 ?? null); }),
    ...record.only_a.map(({ key }) => row("only_a", key, "", -1, "", null)), ...record.only_b.map(({ key }) => row("only_b", "", key, -1, "", null))];
}
