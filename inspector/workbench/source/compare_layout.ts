// How is one side of a comparison placed and painted? In the layout worker, coloured by state.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Side } from "./compare_match";
import { lookOf } from "./compare_states";
import type { Placed } from "./layout";
import { Painter } from "./painter";
import { problemOf } from "./problem";
import type { Theme } from "./theme";

declare const WORKER: string;

export class StatePainter extends Painter {
  /** All boxes: none fades while another is selected, for states are colours here. */ readonly all: Set<number>;
  constructor(readonly side: Side, placed: Placed) { super(side.graph, placed); this.all = new Set(placed.id); }
  override look(id: number, theme: Theme) { return lookOf(this.side.kinds[id] ?? null, theme); }
}

export function useLaid(side: Side, open: Set<number>): StatePainter | null {
  const [painter, setPainter] = useState<StatePainter | null>(null), worker = useRef<Worker | null>(null), seq = useRef(0), sent = useRef<Side | null>(null);
  useEffect(() => {
    const made = new Worker(URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" })));
    worker.current = made; sent.current = null;
    return () => made.terminate();
  }, []);
  useEffect(() => {
    const number = ++seq.current;
    worker.current!.onmessage = ({ data }: MessageEvent<{ seq: number; placed: Placed }>) => { if (data.seq === number) setPainter(new StatePainter(side, data.placed)); };
    worker.current!.postMessage({ ...(sent.current === side ? {} : { problem: problemOf(side.graph) }), open: [...open], fold: false, seq: number });
    sent.current = side;
  }, [side, open]);
  return painter?.side === side ? painter : null;
}
