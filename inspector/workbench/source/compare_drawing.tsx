// Both graphs side by side: moved together, matched boxes tied by curves, blocks opened on both sides.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Bench } from "./bench";
import { followOf, linksOf } from "./compare_follow";
import { useLaid, type StatePainter } from "./compare_layout";
import { paintLinks } from "./compare_links";
import type { Match } from "./compare_match";
import type { Chosen } from "./compare_view";
import type { Eye } from "./painter";
import { readTheme } from "./theme";

interface Props {
  bench: Bench; match: Match; chosen: Chosen; openB: Set<number>; locked: boolean; onLock(locked: boolean): void;
  toggle(side: 0 | 1, block: number): void; openTo(depth: number): void; /** Counts up when the chosen pair must come into view. */ reveal: number; onChoose(a: number, b: number): void;
}
type Which = 0 | 1;
const NONE = new Set<number>(), NO_WAYS: Set<number>[] = [], STEP = 60, LEAST = 0.005, MOST = 4, EDGE = 12, READABLE = 0.6;

export function CompareDrawing({ bench, match, chosen, openB, locked, onLock, toggle, openTo, reveal, onChoose }: Props) {
  const painters = [useLaid(match.a, bench.open), useLaid(match.b, openB)] as const, [a, b] = painters, ready = a && b;
  const canvases = [useRef<HTMLCanvasElement>(null), useRef<HTMLCanvasElement>(null)] as const, over = useRef<HTMLCanvasElement>(null);
  const eyes = useRef<[Eye, Eye]>([{ x: 0, y: 0, k: 0 }, { x: 0, y: 0, k: 0 }]).current, frame = useRef(0), [moved, setMoved] = useState(0);
  const [hover, setHover] = useState<readonly [Which, number]>([0, -1]), wish = useRef(-1), anchor = useRef<{ side: Which; id: number; x: number; y: number } | null>(null);
  const links = useMemo(() => (ready ? linksOf(match, a.placed, b.placed) : []), [match, a, b]);
  const follow = useMemo(() => (ready ? followOf(links, a.placed, b.placed) : null), [links]);
  const ask = () => { if (!frame.current) frame.current = requestAnimationFrame(() => { frame.current = 0; setMoved((n) => n + 1); }); };
  const size = (side: Which) => ({ w: canvases[side].current!.clientWidth, h: canvases[side].current!.clientHeight, left: canvases[side].current!.offsetLeft });

  /** Bring the other side to the height and zoom of this one. */
  const drag = (side: Which) => {
    if (!locked || !follow) return;
    const mine = eyes[side], other = eyes[side ? 0 : 1], half = size(side).h / 2 / mine.k;
    other.k = mine.k;
    other.y = (side ? follow.toA : follow.toB)(mine.y + half) - half;
  };
  const pan = (side: Which, dx: number, dy: number) => {
    anchor.current = null;
    for (const eye of locked ? eyes : [eyes[side]]) eye.x += dx / eye.k;
    eyes[side].y += dy / eyes[side].k;
    drag(side); ask();
  };
  const zoom = (side: Which, factor: number, x = size(side).w / 2, y = size(side).h / 2) => {
    anchor.current = null;
    for (const eye of locked ? eyes : [eyes[side]]) { const k = Math.max(LEAST, Math.min(MOST, eye.k * factor)); eye.x += x / eye.k - x / k; eye.y += y / eye.k - y / k; eye.k = k; }
    drag(side); ask();
  };
  const centre = (side: Which, id: number): boolean => {
    const painter = painters[side]!, i = painter.place.get(id), { w, h } = size(side), eye = eyes[side];
    if (i === undefined) return false;
    const { x, w: wide } = painter.placed, from = (x[i]! - eye.x) * eye.k;
    if (from < EDGE || from + wide[i]! * eye.k > w - EDGE) eye.x = x[i]! + wide[i]! / 2 - w / eye.k / 2;
    eye.y = painter.placed.y[i]! + Math.min(painter.placed.h[i]!, 40) / 2 - h / eye.k / 2;
    return true;
  };
  const focus = () => {
    for (const eye of eyes) eye.k = Math.max(eye.k, READABLE);
    const found = [chosen[0] < 0 || centre(0, chosen[0]), chosen[1] < 0 || centre(1, chosen[1])];
    if (chosen[0] < 0 !== chosen[1] < 0) drag(chosen[0] < 0 ? 1 : 0);
    ask();
    return found[0] && found[1];
  };
  const fit = () => {
    const k = Math.min(...([0, 1] as const).map((side) => Math.min(size(side).w / (painters[side]!.placed.width + 40), size(side).h / (painters[side]!.placed.height + 40))));
    ([0, 1] as const).forEach((side) => { eyes[side].k = k; eyes[side].x = painters[side]!.placed.width / 2 - size(side).w / k / 2; eyes[side].y = -20; });
    anchor.current = null; ask();
  };

  useEffect(() => {
    if (!ready) return;
    if (!eyes[0].k) {
      const k = Math.max(READABLE, Math.min(1.1, ...([0, 1] as const).map((side) => (size(side).w - 24) / painters[side]!.placed.width)));
      ([0, 1] as const).forEach((side) => { eyes[side].k = k; eyes[side].x = painters[side]!.placed.width / 2 - size(side).w / k / 2; eyes[side].y = -24; });
      drag(0);
    }
    const kept = anchor.current;
    if (kept) {
      const { placed, place } = painters[kept.side]!, i = place.get(kept.id), eye = eyes[kept.side];
      if (i !== undefined) { eye.y = placed.y[i]! - kept.y / eye.k; eye.x = placed.x[i]! + placed.w[i]! / 2 - kept.x / eye.k; drag(kept.side); }
    }
    if (wish.current >= 0 && focus()) wish.current = -1;
    document.body.dataset.pairs = String(links.length);
    document.body.dataset.ready = "yes";
    ask();
  }, [a, b]);
  useEffect(() => { if (reveal && (!ready || !focus())) wish.current = reveal; }, [reveal]);
  useEffect(() => { const watch = new ResizeObserver(ask); watch.observe(canvases[0].current!); return () => watch.disconnect(); }, []);
  useEffect(() => {
    if (!ready) return;
    const dpr = devicePixelRatio || 1, theme = readTheme();
    const clear = (canvas: HTMLCanvasElement) => {
      const w = Math.round(canvas.clientWidth * dpr), h = Math.round(canvas.clientHeight * dpr);
      if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
      return canvas.getContext("2d")!;
    };
    ([0, 1] as const).forEach((side) => {
      const { w, h } = size(side), painter = painters[side]!;
      painter.paint(clear(canvases[side].current!), w, h, dpr, eyes[side], theme, { selected: chosen[side], hover: hover[0] === side ? hover[1] : -1, found: side ? NONE : bench.found, near: painter.all, ways: NO_WAYS }, null);
    });
    const c = clear(over.current!), [left, right] = [size(0), size(1)];
    c.setTransform(dpr, 0, 0, dpr, 0, 0); c.clearRect(0, 0, over.current!.clientWidth, over.current!.clientHeight);
    const pane = (painter: StatePainter, eye: Eye, { left, w }: { left: number; w: number }) => ({ placed: painter.placed, eye, left, width: w });
    document.body.dataset.links = String(paintLinks(c, match, links, pane(a, eyes[0], left), pane(b, eyes[1], right), left.h, [chosen[0], chosen[1]], theme));
  }, [a, b, moved, chosen[0], chosen[1], hover, bench.found, bench.dark, links]);
  useEffect(() => {
    (window as any).comparison = { eyes, pan, zoom, fit,
      heights: () => (ready ? links.map(({ i, j }) => [(a.placed.y[i]! + a.placed.h[i]! / 2 - eyes[0].y) * eyes[0].k, (b.placed.y[j]! + b.placed.h[j]! / 2 - eyes[1].y) * eyes[1].k]) : []),
      place: (side: Which, key: string) => {
        const painter = painters[side], i = painter?.place.get(painter.graph.byKey.get(key) ?? -1), box = canvases[side].current!.getBoundingClientRect(), eye = eyes[side];
        return i === undefined || !painter ? null : { x: box.x + (painter.placed.x[i]! + painter.placed.w[i]! / 2 - eye.x) * eye.k, y: box.y + (painter.placed.y[i]! + 12 - eye.y) * eye.k };
      } };
  });

  const turn = (side: Which, id: number) => {
    const painter = painters[side]!, i = painter.place.get(id), eye = eyes[side], block = id - painter.graph.items.length;
    if (block < 0 || i === undefined) return;
    anchor.current = { side, id, x: (painter.placed.x[i]! + painter.placed.w[i]! / 2 - eye.x) * eye.k, y: (painter.placed.y[i]! - eye.y) * eye.k };
    toggle(side, block);
  };
  const choose = (side: Which, id: number) => {
    const partner = id < 0 ? -1 : (side ? match.b : match.a).partners[id]?.[0] ?? -1;
    if (side) onChoose(partner, id); else onChoose(id, partner);
  };
  const deepest = Math.max(...match.a.graph.depth, ...match.b.graph.depth), pane = { painters, canvases, eyes, chosen, pan, zoom, turn, choose, hover, setHover };
  return <div class="pairs"><div class="bar"><span>Open</span><button onClick={() => openTo(1)}>None</button>{deepest > 1 && <button onClick={() => openTo(2)}>1 deep</button>}<button onClick={() => openTo(Infinity)}>All</button>
      <button onClick={() => zoom(0, 1.25)} title="Zoom in">+</button><button onClick={() => zoom(0, 0.8)} title="Zoom out">−</button><button onClick={fit} title="Show everything">Fit</button>
      <label><input type="checkbox" checked={locked} onChange={() => { onLock(!locked); }} /> move together</label></div>
    <div class="panes"><Pane side={0} {...pane} name="A" /><Pane side={1} {...pane} name="B" /><canvas ref={over} class="over" aria-hidden="true" />
      {[match.a, match.b].map((side, s) => !side.graph.doc.nodes.length && <p key={s} class={s ? "none right" : "none"}>{s ? "B" : "A"} holds weights only: there is nothing to draw.</p>)}
      {!ready && <p class="waiting" role="status">Placing both graphs …</p>}</div></div>;
}

interface PaneProps {
  side: Which; name: string; painters: readonly (StatePainter | null)[]; canvases: readonly { current: HTMLCanvasElement | null }[]; eyes: [Eye, Eye]; chosen: Chosen; hover: readonly [Which, number];
  pan(side: Which, dx: number, dy: number): void; zoom(side: Which, factor: number, x?: number, y?: number): void; turn(side: Which, id: number): void; choose(side: Which, id: number): void; setHover(at: readonly [Which, number]): void;
}

function Pane({ side, name, painters, canvases, eyes, chosen, hover, pan, zoom, turn, choose, setHover }: PaneProps) {
  const grip = useRef<{ x: number; y: number; far: boolean } | null>(null), canvas = canvases[side]!;
  const at = (e: MouseEvent) => { const box = canvas.current!.getBoundingClientRect(), eye = eyes[side]; return painters[side]?.hit(eye.x + (e.clientX - box.x) / eye.k, eye.y + (e.clientY - box.y) / eye.k) ?? -1; };
  const keys = (e: KeyboardEvent) => {
    const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[e.key];
    if (way) { pan(side, way[0]!, way[1]!); e.preventDefault(); }
    if (e.key === "Enter" && chosen[side] >= 0) turn(side, chosen[side]);
    if (e.key === "+" || e.key === "-") zoom(side, e.key === "+" ? 1.25 : 0.8);
  };
  return <canvas ref={canvas} tabIndex={0} role="application" aria-label={`Structure of ${name}; the table below lists the differences as text`} onKeyDown={keys}
    onPointerDown={(e) => { grip.current = { x: e.clientX, y: e.clientY, far: false }; canvas.current!.setPointerCapture(e.pointerId); }}
    onPointerMove={(e) => {
      const held = grip.current;
      if (!held) { const id = at(e); if (hover[0] !== side || hover[1] !== id) setHover([side, id]); return; }
      if (Math.abs(e.clientX - held.x) + Math.abs(e.clientY - held.y) > 3) held.far = true;
      if (held.far) { pan(side, held.x - e.clientX, held.y - e.clientY); held.x = e.clientX; held.y = e.clientY; }
    }}
    onPointerUp={(e) => { if (!grip.current?.far) choose(side, at(e)); grip.current = null; }}
    onDblClick={(e) => turn(side, at(e))}
    onWheel={(e) => {
      e.preventDefault(); const box = canvas.current!.getBoundingClientRect();
      if (e.ctrlKey) zoom(side, Math.exp(-e.deltaY / 200), e.clientX - box.x, e.clientY - box.y);
      else pan(side, e.shiftKey ? e.deltaY : e.deltaX, e.shiftKey ? 0 : e.deltaY);
    }} />;
}
