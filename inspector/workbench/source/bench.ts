// What is selected, open and shown of one model? One state that every view reads and changes.
import { useEffect, useState } from "preact/hooks";
import { readAddress, writeAddress } from "./address";
import type { ComparisonRecord } from "./compare_match";
import { firstOpen, type Graph } from "./graph";
import type { Lineage } from "./lineage";
import type { Models } from "./models";
import type { Fixed, Live, Source } from "./source";
import type { JobState, OpenModel, Schema } from "./types";

export interface Bench {
  graph: Graph; digest: string; dark: boolean;
  source: Source; /** Null in a report. */ live: Live | null; /** Null beside a server. */ fixed: Fixed | null;
  models: OpenModel[]; schemas: Record<string, Schema>; choose(digest: string): void; fail(text: string): void;

  /** Item number, or items + block number, or -1. */ selected: number;
  /** Select without moving the drawing. */ pick(id: number): void;
  /** Select, open the blocks around, and bring into view. */ show(id: number): void; reveal: number;
  /** Number of a node's or block's key, or -1. */ idOf(key: string): number;

  /** Boxes marked together with Shift. */ marked: Set<number>; mark(id: number): void; clearMarks(): void;
  /** What is lit up around the selection. */ traced: Lineage; setTraced(kind: Lineage): void;

  open: Set<number>; toggle(block: number): void; openTo(depth: number): void;
  /** Tall drawings go on in columns. */ folded: boolean; fold(folded: boolean): void;
  query: string; setQuery(query: string): void; found: Set<number>; setFound(found: Set<number>): void;
  overlay: string; setOverlay(name: string): void;
  /** The models that the server was started with. */ given: string[]; /** The model compared with, or "". */ other: string; setOther(digest: string): void; add(file: File | string): Promise<string>;
  /** Key of the node selected in the other model, or "". */ partner: string; setPartner(key: string): void;
  /** The last comparison with it, or null. */ compared: Compared | null; setCompared(compared: Compared | null): void;
  /** The chosen view's id. */ view: string; setView(id: string): void;

  /** Key of the chosen weight, or "". */ weight: string; setWeight(key: string): void;
  /** Key of the chosen value, or "" for the selected node's first output. */ value: string; setValue(key: string): void;
  /** The uploaded input's id, or "". */ input: string; setInput(id: string): void;
  /** Answer of the last run, or null. */ run: any; setRun(run: any): void; /** Answer of the run that it is compared with, or null. */ against: any; setAgainst(run: any): void;
  /** What is asked of attribution, and its last answer. */ explaining: Explaining; explain(change: Partial<Explaining>): void;
}

/** Stands for the digest of a report's second model. */
const PAIR = "b";

export interface Explaining { methods: string[]; targets: string[]; answer: JobState | null }

/** What the server found, and what for. */
export interface Compared { other: string; input: string; record: ComparisonRecord; runs: { a: any; b: any } | null }
interface Given { graph: Graph; models: Models; source: Source; fixed: Fixed | null; dark: boolean; dropped: File | null }

export function useBench({ graph, models, source, fixed, dark, dropped }: Given): Bench {
  const { live, digest, first, given } = models, items = graph.items.length;
  const [start] = useState(readAddress), mine = Boolean(fixed) || start.model === digest, pair = fixed?.held.comparison ?? null, usual = given.length > 1 || pair ? "compare" : "node";
  const idOf = (key: string) => {
    const block = key ? graph.doc.blocks.findIndex((row) => row[0] === key) : -1;
    return graph.byKey.get(key) ?? (block >= 0 ? block + items : -1);
  };
  const keyOf = (id: number) => (id < 0 ? "" : id < items ? graph.items[id]!.key : graph.doc.blocks[id - items]![0]);
  const [open, setOpen] = useState(() => firstOpen(graph)), [selected, setSelected] = useState(() => (mine ? idOf(start.node) : -1)), [reveal, setReveal] = useState(0);
  const [query, setQuery] = useState(start.query), [found, setFound] = useState(new Set<number>());
  const [view, setView] = useState(start.view || usual), [overlay, setOverlay] = useState(start.overlay || "family");
  const [weight, setWeight] = useState(mine ? start.weight : ""), [value, setValue] = useState(mine ? start.value : "");
  const [wished, setOther] = useState(start.other), [partner, setPartner] = useState(mine ? start.partner : ""), [compared, setCompared] = useState<Compared | null>(pair && { other: PAIR, input: "", record: pair.record, runs: pair.runs });
  const known = (wanted: string | undefined) => wanted !== digest && models.models.some((m) => m.model === wanted);
  const other = pair ? PAIR : [wished, ...given, ...models.models.map((m) => m.model)].find(known) ?? "";
  const [input, setInput] = useState(fixed ? "" : start.input || first), [run, setRun] = useState<any>(fixed?.held.prediction ?? null);
  const [against, setAgainst] = useState<any>(null);
  const [explaining, setExplaining] = useState<Explaining>({ methods: ["grad-cam"], targets: [], answer: null });
  const explain = (change: Partial<Explaining>) => setExplaining((now) => ({ ...now, ...change }));
  const [folded, fold] = useState(start.columns !== "off"), [marked, setMarked] = useState(new Set<number>()), [traced, setTraced] = useState<Lineage>("");
  const mark = (id: number) => { if (id < 0) return; const next = new Set(marked.size || selected < 0 ? marked : [selected]); if (!next.delete(id)) next.add(id); setMarked(next); };
  const pick = (id: number) => { setSelected(id); setMarked(new Set()); setPartner(""); setValue(""); };
  const show = (id: number) => {
    pick(id);
    if (id < 0) return;
    const wanted = new Set(open);
    for (let b = id < items ? graph.items[id]!.block : graph.doc.blocks[id - items]![3]; b > 0; b = graph.doc.blocks[b]![3]) wanted.add(b);
    if (wanted.size !== open.size) setOpen(wanted);
    setReveal((n) => n + 1);
  };
  const toggle = (block: number) => { const next = new Set(open); if (!next.delete(block)) next.add(block); setOpen(next); };
  const openTo = (depth: number) => setOpen(new Set(graph.doc.blocks.flatMap((_, b) => (graph.depth[b]! < depth ? [b] : []))));
  useEffect(() => { if (selected >= 0) { const chosen = partner, shown = value; show(selected); setPartner(chosen); setValue(shown); } }, []);
  useEffect(() => {
    writeAddress({ model: digest, node: keyOf(selected), view: view === usual ? "" : view, query, overlay: overlay === "family" ? "" : overlay, columns: folded ? "" : "off", partner,
      other: fixed ? "" : view === "compare" ? other : wished, input: input === first ? "" : input, weight, value });
  }, [digest, selected, view, query, overlay, folded, other, wished, partner, input, weight, value]);
  useEffect(() => {
    if (!dropped || !live) return;
    const start = async () => {
      const id = await live.upload(dropped);
      setInput(id); setView("activations");
      setRun((await live.work("runs", { model: digest, input: id }, () => undefined)).result);
    };
    start().catch((fault) => models.fail(fault.message));
  }, [dropped]);
  return { graph, digest, dark, source, live, fixed, models: models.models, schemas: models.schemas, choose: models.choose, fail: models.fail,
    given, selected, pick, marked, mark, clearMarks: () => setMarked(new Set()), traced, setTraced, show, reveal, idOf, open, toggle, openTo, folded, fold, query, setQuery, found, setFound, overlay, setOverlay, view, setView,
    other, setOther, add: models.add, partner, setPartner, compared, setCompared, weight, setWeight, value, setValue, input, setInput, run, setRun, against, setAgainst, explaining, explain };
}
