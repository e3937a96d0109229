// Which numbers can colour the boxes? Those of the document at once, the others asked of the server.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Bench } from "./bench";
import type { Graph } from "./graph";
import type { JobState } from "./types";

export interface OverlayRow {
  id: string; title: string; unit: string;
  /** What a closed block shows of its operators. */ block: "sum" | "largest";
  /** Even steps are equal ratios, or equal differences. */ scale: "log" | "linear";
  /** Made from the document, or by the action `overlay`; "other" needs a second open model. */ from: "document" | "server" | "other";
}

export const OVERLAYS: readonly OverlayRow[] = [
  { id: "parameters", title: "parameters", unit: "parameters", block: "sum", scale: "log", from: "document" },
  { id: "macs", title: "multiply-adds", unit: "multiply-adds", block: "sum", scale: "log", from: "document" },
  { id: "time", title: "time", unit: "ms", block: "sum", scale: "linear", from: "server" },
  { id: "memory", title: "memory of outputs", unit: "bytes", block: "sum", scale: "linear", from: "server" },
  { id: "sparsity", title: "sparsity of weights", unit: "share of zeros", block: "largest", scale: "linear", from: "server" },
  { id: "spread", title: "activations: spread", unit: "standard deviation", block: "largest", scale: "log", from: "server" },
  { id: "zeros", title: "activations: zeros", unit: "share of zeros", block: "largest", scale: "linear", from: "server" },
  { id: "relevance", title: "relevance", unit: "Σ |activation × gradient|", block: "largest", scale: "linear", from: "server" },
  { id: "difference", title: "difference", unit: "relative change", block: "largest", scale: "log", from: "other" },
];

/** One number an item and a block, NaN where there is none. */
export interface Shades { row: OverlayRow; amount: Float64Array; notes: string[] }
export interface Shading { shades: Shades | null; job: JobState | null; error: string; stop(): void }

export const overlaysFor = (bench: Bench): OverlayRow[] =>
  OVERLAYS.filter((row) => row.from === "document" || (bench.live && !bench.graph.doc.obstacles.length && (row.from === "server" || bench.models.length > 1)) || (bench.live && row.id === "sparsity"));

function shadesOf(graph: Graph, row: OverlayRow, of: (key: string, item: number) => number | undefined, notes: string[]): Shades {
  const items = graph.items.length, amount = new Float64Array(items + graph.doc.blocks.length).fill(NaN);
  const join = (at: number, more: number) => { if (!Number.isNaN(more)) amount[at] = Number.isNaN(amount[at]!) ? more : row.block === "sum" ? amount[at]! + more : Math.max(amount[at]!, more); };
  graph.items.forEach((item, i) => { if (item.node) { amount[i] = of(item.key, i) ?? NaN; join(items + item.block, amount[i]!); } });
  for (let b = graph.doc.blocks.length - 1; b > 0; b--) join(items + graph.doc.blocks[b]![3], amount[items + b]!);
  return { row, amount, notes };
}

/** The chosen overlay's numbers; fetched once for each input. */
export function useShading(bench: Bench): Shading {
  const { graph, live, digest, input, other } = bench, row = overlaysFor(bench).find((found) => found.id === bench.overlay);
  const [shown, setShown] = useState<Shades | null>(null), [job, setJob] = useState<JobState | null>(null), [error, setError] = useState("");
  const kept = useRef(new Map<string, Shades>());
  useEffect(() => {
    setError(""); setJob(null);
    if (!row) { setShown(null); return; }
    if (row.from === "document") {
      setShown(shadesOf(graph, row, (_, i) => (row.id === "macs" ? graph.items[i]!.node!.macs ?? undefined : graph.items[i]!.node!.parameters), []));
      return;
    }
    const name = [row.id, input, row.from === "other" ? other : ""].join(" "), known = kept.current.get(name);
    setShown(known ?? null);
    if (known) return;
    let wanted = true;
    const call = { model: digest, of: row.id, ...(input && row.id !== "sparsity" ? { input: ["file:" + input] } : {}), ...(row.from === "other" ? { other } : {}) };
    live!.work("actions/overlay", call, (state) => wanted && setJob(state)).then(({ result }) => {
      const made = shadesOf(graph, row, (key) => result.nodes[key], result.notes);
      kept.current.set(name, made);
      if (wanted) setShown(made);
    }).catch((fault) => wanted && setError(fault.message)).finally(() => wanted && setJob(null));
    return () => { wanted = false; };
  }, [row?.id, graph, input, other]);
  return { shades: row ? shown : null, job, error, stop: () => { if (job) void live!.stop(job.job); } };
}
