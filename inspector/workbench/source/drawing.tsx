// The drawing: pans, zooms, opens blocks, and says what is selected.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Bench } from "./bench";
import type { Graph } from "./graph";
import type { Placed } from "./layout";
import { Painter, type Eye } from "./painter";
import { problemOf } from "./problem";
import { toSvg } from "./svg";
import { keep } from "./keep";
import { Legend } from "./legend";
import { lineage } from "./lineage";
import { useShading } from "./overlays";
import { readTheme } from "./theme";
import { wholePicture } from "./whole_picture";
import { Strip, STRIP } from "./strip";

declare const WORKER: string;
/** Room for the buttons over the drawing. */
const TOOLS = 76;
interface Props { bench: Bench }

function near(graph: Graph, id: number, painter: Painter): Set<number> {
  const found = new Set<number>(), { placed } = painter, i = painter.place.get(id);
  if (i !== undefined) for (let e = 0; e < placed.from.length; e++) {
    if (placed.from[e] === i) found.add(placed.id[placed.to[e]!]!);
    if (placed.to[e] === i) found.add(placed.id[placed.from[e]!]!);
  }
  return found;
}

/** A box and where on the screen its top middle lies. */
interface Anchor { id: number; x: number; y: number }

/** What lies in view, from the centre outwards, each followed by the blocks around it. */
function inView({ placed, graph }: Painter, eye: Eye, w: number, h: number): number[] {
  const x = eye.x + w / eye.k / 2, y = eye.y + h / eye.k / 2, items = graph.items.length;
  const far = (i: number) => Math.hypot(placed.x[i]! + placed.w[i]! / 2 - x, placed.y[i]! + placed.h[i]! / 2 - y);
  const seen = [...placed.id.keys()].filter((i) => !placed.open[i] && Math.abs(placed.x[i]! + placed.w[i]! / 2 - x) < w / eye.k / 2 && Math.abs(placed.y[i]! - y) < h / eye.k / 2);
  return seen.sort((i, j) => far(i) - far(j)).slice(0, 20).flatMap((i) => {
    const chain = [placed.id[i]!];
    for (let b = chain[0]! < items ? graph.items[chain[0]!]!.block : graph.doc.blocks[chain[0]! - items]![3]; b > 0; b = graph.doc.blocks[b]![3]) chain.push(b + items);
    return chain;
  });
}

export function Drawing({ bench }: Props) {
  const { graph, open, selected, found, marked, traced, dark } = bench, shading = useShading(bench), { shades } = shading;
  const canvas = useRef<HTMLCanvasElement>(null), worker = useRef<Worker | null>(null), seq = useRef(0), eye = useRef<Eye>({ x: 0, y: 0, k: 1 });
  const [painter, setPainter] = useState<Painter | null>(null);
  const [hover, setHover] = useState(-1), [moved, setMoved] = useState(0), frame = useRef(0);
  const anchor = useRef<Anchor[]>([]), last = useRef<Painter | null>(null), fresh = useRef(true), wish = useRef(-1);

  useEffect(() => {
    const made = new Worker(URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" })));
    worker.current = made; fresh.current = true; last.current = null; setPainter(null);
    made.onmessage = ({ data }: MessageEvent<{ seq: number; placed: Placed; ms: number }>) => {
      if (data.seq !== seq.current) return;
      document.body.dataset.layout = data.ms.toFixed(1);
      setPainter(new Painter(graph, data.placed));
    };
    made.postMessage({ problem: problemOf(graph), open: [...open], fold: bench.folded, seq: ++seq.current });
    return () => made.terminate();
  }, [graph]);
  useEffect(() => { if (!fresh.current) worker.current?.postMessage({ open: [...open], fold: bench.folded, seq: ++seq.current }); fresh.current = false; }, [open, bench.folded]);

  const size = () => ({ w: canvas.current!.clientWidth, h: canvas.current!.clientHeight });
  const ask = () => { if (!frame.current) frame.current = requestAnimationFrame(() => { frame.current = 0; setMoved((n) => n + 1); }); };
  const hold = (id: number): Anchor | null => {
    const from = last.current, i = from?.place.get(id), e = eye.current;
    return from && i !== undefined ? { id, x: (from.placed.x[i]! + from.placed.w[i]! / 2 - e.x) * e.k, y: (from.placed.y[i]! - e.y) * e.k } : null;
  };
  const centre = (id: number) => {
    const i = painter?.place.get(id); if (i === undefined || !painter) return false;
    const { w, h } = size(), p = painter.placed;
    eye.current.x = p.x[i]! + p.w[i]! / 2 - w / eye.current.k / 2; eye.current.y = p.y[i]! + Math.min(p.h[i]!, 40) / 2 - h / eye.current.k / 2;
    ask(); return true;
  };

  useEffect(() => {
    if (!painter) return;
    const { w, h } = size(), p = painter.placed;
    if (document.body.dataset.ready !== "yes" || eye.current.k === 0 || !document.body.dataset.seq) {
      const seen = w - STRIP, k = Math.max(0.75, Math.min(Math.max(1.25, h / 1100), (seen - 30) / p.width));
      const first = p.id.length ? p.x[0]! + p.w[0]! / 2 - seen / k / 2 : 0, room = p.width - seen / k;
      eye.current = { k, x: room < 0 ? room / 2 : Math.max(-20, Math.min(room + 20, first)), y: p.height * k < h ? p.height / 2 - h / k / 2 : -24 };
    }
    if (wish.current >= 0) { centre(wish.current); wish.current = -1; }
    else {
      const kept = (anchor.current.length ? anchor.current : last.current ? inView(last.current, eye.current, w, h).map(hold) : []).find((held) => held && painter.place.has(held.id));
      if (kept) { const i = painter.place.get(kept.id)!, k = eye.current.k; eye.current.y = p.y[i]! - kept.y / k; eye.current.x = p.x[i]! + p.w[i]! / 2 - kept.x / k; }
    }
    anchor.current = []; last.current = painter;
    document.body.dataset.ready = "yes"; document.body.dataset.seq = String(Number(document.body.dataset.seq ?? 0) + 1);
    document.body.dataset.boxes = String(p.id.length); document.body.dataset.edges = String(p.from.length);
    ask();
  }, [painter]);
  useEffect(() => { if (selected >= 0 && bench.reveal) { if (!centre(selected)) wish.current = selected; } }, [bench.reveal]);

  const rung = useMemo(() => new Set([...found, ...marked]), [found, marked]);
  const ways = useMemo(() => (selected < 0 || !traced ? [] : (["before", "after"] as const).filter((kind) => traced === "both" || traced === kind).map((kind) => lineage(graph, marked.size ? marked : [selected], kind))), [graph, selected, marked, traced]);
  const lit = useMemo(() => (selected < 0 || !painter ? new Set<number>() : traced ? new Set(ways.flatMap((way) => [...way])) : near(graph, selected, painter)), [graph, painter, selected, traced, ways]);
  useEffect(() => {
    if (!painter || !canvas.current) return;
    const { w, h } = size(), dpr = devicePixelRatio || 1, target = canvas.current;
    if (target.width !== Math.round(w * dpr) || target.height !== Math.round(h * dpr)) { target.width = Math.round(w * dpr); target.height = Math.round(h * dpr); }
    painter.paint(target.getContext("2d")!, w, h, dpr, eye.current, readTheme(), { selected, hover, found: rung, near: lit, ways }, shades);
    document.body.dataset.drawn = String(painter.drawn);
  }, [painter, moved, selected, hover, rung, lit, shades, dark]);
  useEffect(() => { const watch = new ResizeObserver(ask); watch.observe(canvas.current!); return () => watch.disconnect(); }, []);

  useEffect(() => {
    (window as any).workbench = {
      place: (key: string) => {
        const id = graph.byKey.get(key) ?? graph.items.length + graph.doc.blocks.findIndex((row) => row[0] === key), i = painter?.place.get(id);
        if (i === undefined || !painter) return null;
        const box = canvas.current!.getBoundingClientRect(), p = painter.placed, e = eye.current;
        return { x: box.x + (p.x[i]! + p.w[i]! / 2 - e.x) * e.k, y: box.y + (p.y[i]! + Math.min(12, p.h[i]! / 2) - e.y) * e.k };
      },
      look: (next: Partial<Eye>) => { Object.assign(eye.current, next); ask(); }, eye: () => eye.current, placed: () => painter?.placed, labels: () => painter?.labels, pills: () => painter?.pills,
      fit: () => { const { w, h } = size(), p = painter!.placed, room = w - STRIP - TOOLS; eye.current.k = Math.min(room / (p.width + 40), h / (p.height + 40)); eye.current.x = p.width / 2 - room / eye.current.k / 2; eye.current.y = p.height / 2 - h / eye.current.k / 2; ask(); },
    };
  }, [painter, graph]);

  const spot = (event: MouseEvent, of?: (x: number, y: number) => number) => { const box = canvas.current!.getBoundingClientRect(), e = eye.current; return of?.(e.x + (event.clientX - box.x) / e.k, e.y + (event.clientY - box.y) / e.k) ?? -1; };
  const at = (event: MouseEvent) => spot(event, painter?.hit.bind(painter));
  const zoom = (factor: number, x = size().w / 2, y = size().h / 2) => {
    const e = eye.current, k = Math.max(0.005, Math.min(4, e.k * factor));
    e.x += x / e.k - x / k; e.y += y / e.k - y / k; e.k = k; ask();
  };
  const toggle = (id: number) => {
    if (id < graph.items.length) return;
    const held = hold(id);
    anchor.current = held ? [held] : [];
    bench.toggle(id - graph.items.length);
  };
  const drag = useRef<{ x: number; y: number; far: boolean } | null>(null);
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter" && selected >= 0) toggle(selected);
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && painter && selected >= 0) {
      const p = painter.placed, i = painter.place.get(selected), forward = event.key === "ArrowDown";
      for (let e = 0; e < p.from.length; e++) if ((forward ? p.from[e] : p.to[e]) === i) { const next = p.id[(forward ? p.to[e] : p.from[e])!]!; bench.pick(next); centre(next); break; }
      event.preventDefault();
    }
    if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.25 : 0.8);
  };
  const save = async (kind: "png" | "svg" | "all") => {
    const name = graph.doc.name + (kind === "svg" ? ".svg" : ".png");
    if (kind === "all") { try { keep(await wholePicture(painter!, readTheme(), shades), name); } catch (fault) { bench.fail((fault as Error).message); } ask(); return; }
    if (kind === "svg") { keep(new Blob([toSvg(painter!, readTheme(), shades)], { type: "image/svg+xml" }), name); return; }
    canvas.current!.toBlob((blob) => blob && keep(blob, name));
  };
  return <><div class="drawing">
    <canvas ref={canvas} tabIndex={0} role="application" aria-label="Structure of the model; the outline lists the same as text" onKeyDown={keys}
      onPointerDown={(e) => { drag.current = { x: e.clientX, y: e.clientY, far: false }; canvas.current!.setPointerCapture(e.pointerId); }}
      onPointerMove={(e) => {
        const d = drag.current;
        if (!d) { const id = at(e); if (id !== hover) setHover(id); return; }
        if (Math.abs(e.clientX - d.x) + Math.abs(e.clientY - d.y) > 3) d.far = true;
        if (d.far) { eye.current.x -= (e.clientX - d.x) / eye.current.k; eye.current.y -= (e.clientY - d.y) / eye.current.k; d.x = e.clientX; d.y = e.clientY; ask(); }
      }}
      onPointerUp={(e) => { if (!drag.current?.far) { const far = spot(e, painter?.beyond.bind(painter)); if (far >= 0) bench.show(far); else if (e.shiftKey) bench.mark(at(e)); else bench.pick(at(e)); } drag.current = null; }}
      onDblClick={(e) => toggle(at(e))}
      onWheel={(e) => {
        e.preventDefault(); const box = canvas.current!.getBoundingClientRect();
        if (e.ctrlKey) zoom(Math.exp(-e.deltaY / 200), e.clientX - box.x, e.clientY - box.y);
        else { eye.current.x += (e.shiftKey ? e.deltaY : e.deltaX) / eye.current.k; eye.current.y += (e.shiftKey ? 0 : e.deltaY) / eye.current.k; ask(); }
      }} />
    {painter && !graph.items.length && <p class="waiting" role="status">This file holds weights alone: there are no operators to draw. The view Weights lists {graph.doc.weights.length.toLocaleString("en")} tensors.</p>}
    {!painter && <p class="waiting" role="status">Placing {graph.items.length.toLocaleString("en")} boxes …</p>}
    {painter && graph.items.length > 0 && <Strip painter={painter} eye={eye.current} moved={moved} dark={dark} shades={shades} height={canvas.current?.clientHeight ?? 0} width={canvas.current?.clientWidth ?? 0} onJump={(x, y) => { if (x !== null) eye.current.x = x; eye.current.y = y; ask(); }} />}
    {graph.items.length > 0 && <div class="tools"><button title="Zoom in" onClick={() => zoom(1.25)}>+</button><button title="Zoom out" onClick={() => zoom(0.8)}>−</button>
      <button title="Show everything" onClick={() => (window as any).workbench.fit()}>Fit</button>
      <button title="Save this view as a picture" onClick={() => save("png")}>PNG</button><button title="Save the whole drawing as a picture" onClick={() => save("all")}>PNG all</button><button title="Save the whole drawing" onClick={() => save("svg")}>SVG</button></div>}
  </div><Legend {...{ graph, shading, painter }} overlay={bench.overlay} /></>;
}
