// How do two models differ? Both graphs side by side, their differences as a table, and the chosen pair.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Bench } from "./bench";
import { useComparison } from "./compare_answer";
import { CompareBar } from "./compare_bar";
import { CompareDrawing } from "./compare_drawing";
import type { Match, Side } from "./compare_match";
import { PairPanel } from "./compare_pair";
import { CompareStart } from "./compare_start";
import { CompareTable } from "./compare_table";
import { INPUT } from "./files";
import { firstOpen } from "./graph";
import { Progress } from "./progress";

/** A box of A and a box of B, -1 for none. */
export type Chosen = readonly [a: number, b: number];

export function CompareView({ bench }: { bench: Bench }) {
  const { match, job, error, stop, again } = useComparison(bench);
  const drop = async (event: DragEvent) => {
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault(); event.stopPropagation();
    if (INPUT.test(file.name)) {
      try { bench.setInput(await bench.live!.upload(file)); } catch (fault) { bench.fail((fault as Error).message); }
      return;
    }
    const made = await bench.add(file);
    if (made) bench.setOther(made);
  };
  return <div class="compare" onDrop={drop}>
    {!bench.other ? <CompareStart bench={bench} /> : <>
      <CompareBar bench={bench} match={match} busy={!error} />
      {error && <p class="problem banner" role="alert">{error} <button onClick={again}>Try again</button></p>}
      {job && !match && <div class="banner"><Progress job={job} onStop={stop} /></div>}
      {match && <Pair key={bench.other} bench={bench} match={match} />}</>}
  </div>;
}

const bare = (side: Side) => !side.graph.doc.nodes.length;

/** The chosen box of B: the one that was clicked there, else the partner of A's. */
function chosenOf(bench: Bench, match: Match): Chosen {
  const { graph } = match.b, block = bench.partner ? graph.doc.blocks.findIndex((row) => row[0] === bench.partner) : -1;
  const clicked = bench.partner ? graph.byKey.get(bench.partner) ?? (block >= 0 ? graph.items.length + block : -1) : -1;
  return [bench.selected, clicked >= 0 ? clicked : bench.selected >= 0 ? match.a.partners[bench.selected]?.[0] ?? -1 : -1];
}

function Pair({ bench, match }: { bench: Bench; match: Match }) {
  const { graph } = match.b, items = graph.items.length, chosen = chosenOf(bench, match);
  const [openB, setOpenB] = useState(() => firstOpen(graph)), [locked, setLocked] = useState(true), [reveal, setReveal] = useState(0), shown = useRef(-1);
  const keyOf = (id: number) => (id < 0 ? "" : id < items ? graph.items[id]!.key : graph.doc.blocks[id - items]![0]);
  const choose = (a: number, b: number, jump: boolean) => {
    if (jump) bench.show(a); else bench.pick(a);
    bench.setPartner(keyOf(b));
    if (jump) setReveal((n) => n + 1);
  };
  useEffect(() => {
    const b = chosen[1], now = bench.reveal + reveal;
    if (b < 0 || now === shown.current) return;
    shown.current = now;
    const wanted = new Set(openB);
    for (let block = b < items ? graph.items[b]!.block : graph.doc.blocks[b - items]![3]; block > 0; block = graph.doc.blocks[block]![3]) wanted.add(block);
    if (wanted.size !== openB.size) setOpenB(wanted);
  }, [bench.reveal, reveal]);
  const toggle = (side: 0 | 1, block: number) => {
    const sides = [match.a, match.b] as const, open = [bench.open, openB] as const, opened = !open[side].has(block);
    const turn = (which: 0 | 1, b: number) => {
      if (open[which].has(b) === opened) return;
      if (which === 0) bench.toggle(b); else { const next = new Set(openB); if (!next.delete(b)) next.add(b); setOpenB(next); }
    };
    turn(side, block);
    const partner = sides[side].partners[sides[side].graph.items.length + block]![0];
    if (locked && partner !== undefined) turn(side ? 0 : 1, partner - sides[side ? 0 : 1].graph.items.length);
  };
  const openTo = (depth: number) => { bench.openTo(depth); setOpenB(new Set(graph.doc.blocks.flatMap((_, b) => (graph.depth[b]! < depth ? [b] : [])))); };
  return <><div class="both">
    {!(bare(match.a) && bare(match.b)) && <CompareDrawing {...{ bench, match, chosen, openB, locked, toggle, openTo }} reveal={bench.reveal + reveal} onLock={setLocked} onChoose={(a, b) => choose(a, b, false)} />}
    <CompareTable {...{ match, chosen }} weight={bench.weight} onWeight={bench.setWeight} onChoose={(a, b) => choose(a, b, true)} /></div>
    <section class="pair" aria-label="Chosen pair"><PairPanel {...{ bench, match, chosen }} /></section></>;
}
