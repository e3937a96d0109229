// How is a placed graph painted? Only what is in view, with as much detail as the zoom can show.
import { FarPicture } from "./far_picture";
import { cut, plain, type Graph } from "./graph";
import { HEAD, PORTAL, type Placed } from "./layout";
import type { Shades } from "./overlays";
import { PILL_FONT, PILL_HIGH, pillsOf, type Pill } from "./portals";
import { labelsOf, SHAPE_FONT, type Label } from "./shapes";
import { css, familyLook, sequential, type Theme } from "./theme";

export interface Eye { x: number; y: number; k: number }
export interface Marks { selected: number; hover: number; found: Set<number>; near: Set<number>; /** Boxes that lead to the selection, and that follow from it; edges among either are strong. */ ways: readonly Set<number>[] }
export interface View { x0: number; x1: number; y0: number; y1: number }
const BAND = 600, FONT = "system-ui, sans-serif", SIZE = 12;
/** No text is painted smaller, in pixels of the screen. */
const LEGIBLE = 7;
/** A whole drawing is never painted narrower, in pixels of the screen. */
const THIN = 28;
/** Below this zoom neither edges nor rims are seen. */
const FAINT = 0.03;

export class Painter {
  private readonly boxes = new Map<number, number[]>();
  private readonly edges = new Map<number, number[]>();
  private readonly long: number[] = [];
  private readonly bounds: Float32Array;
  private readonly open: number[] = [];
  readonly pills: readonly Pill[];
  private readonly pillBands = new Map<number, number[]>();
  /** The shape beside each edge. */
  readonly labels: readonly (Label | null)[];
  /** Where the last painted headers lie. */
  private readonly bands: { i: number; y: number }[] = [];
  private readonly widths = new Map<string, number>();
  readonly place = new Map<number, number>();
  private readonly far = new FarPicture();
  drawn = 0;

  constructor(readonly graph: Graph, readonly placed: Placed) {
    placed.id.forEach((id, i) => {
      this.place.set(id, i);
      if (placed.open[i]) { this.open.push(i); return; }
      this.bucket(this.boxes, i, placed.y[i]!, placed.y[i]! + placed.h[i]!);
    });
    this.bounds = new Float32Array(placed.from.length * 4);
    for (let e = 0; e < placed.from.length; e++) this.bound(e);
    this.labels = labelsOf(graph, placed);
    this.pills = pillsOf(graph, placed);
    this.pills.forEach((pill, n) => this.bucket(this.pillBands, n, pill.y, pill.y));
  }

  private bound(e: number): void {
    const { starts, points } = this.placed, b = this.bounds;
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let p = starts[e]!; p < starts[e + 1]!; p++) {
      const x = points[2 * p]!, y = points[2 * p + 1]!;
      x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y);
    }
    b.set([x0, x1, y0, y1], e * 4);
    if (y1 - y0 > 4 * BAND) this.long.push(e); else this.bucket(this.edges, e, y0, y1);
  }

  private bucket(into: Map<number, number[]>, what: number, y0: number, y1: number): void {
    for (let band = Math.floor(y0 / BAND); band <= Math.floor(y1 / BAND); band++) {
      const list = into.get(band);
      if (list) list.push(what); else into.set(band, [what]);
    }
  }

  private seen(from: Map<number, number[]>, y0: number, y1: number): Iterable<number> {
    const a = Math.floor(y0 / BAND), b = Math.floor(y1 / BAND);
    if (a === b) return from.get(a) ?? [];
    const found = new Set<number>();
    if (b - a > from.size) { for (const list of from.values()) for (const i of list) found.add(i); return found; }
    for (let band = a; band <= b; band++) for (const i of from.get(band) ?? []) found.add(i);
    return found;
  }

  hit(x: number, y: number): number {
    const { placed } = this;
    const inside = (i: number, top: number, h: number) => x >= placed.x[i]! && x <= placed.x[i]! + placed.w[i]! && y >= top && y <= top + h;
    for (let n = this.bands.length - 1; n >= 0; n--) if (inside(this.bands[n]!.i, this.bands[n]!.y, HEAD)) return placed.id[this.bands[n]!.i]!;
    for (const i of this.seen(this.boxes, y, y)) if (inside(i, placed.y[i]!, placed.h[i]!)) return placed.id[i]!;
    return -1;
  }

  paint(c: CanvasRenderingContext2D, w: number, h: number, dpr: number, eye: Eye, theme: Theme, marks: Marks, shades: Shades | null): void {
    c.setTransform(dpr, 0, 0, dpr, 0, 0);
    c.fillStyle = theme.page;
    c.fillRect(0, 0, w, h);
    const swell = Math.max(1, THIN / (this.placed.width * eye.k)), middle = (this.placed.width / 2) * eye.k * (1 - swell);
    const view = { x0: eye.x, x1: eye.x + w / eye.k, y0: eye.y, y1: eye.y + h / eye.k };
    this.drawn = 0;
    if (this.far.show(c, this, view, eye.k, dpr, swell, theme, marks, shades)) return;
    c.setTransform(dpr * eye.k * swell, 0, 0, dpr * eye.k, (middle - eye.x * eye.k) * dpr, -eye.y * eye.k * dpr);
    this.content(c, view, eye.k, theme, marks, shades);
    if (eye.k > 0.3) this.portals(c, view, eye.k, theme);
    this.heads(c, view, eye.k, theme, marks);
  }

  /** Open blocks, edges and boxes in view. */
  content(c: CanvasRenderingContext2D, view: View, k: number, theme: Theme, marks: Marks, shades: Shades | null): void {
    this.frames(c, view, k, theme);
    if (k > FAINT) this.lines(c, view, k, theme, marks);
    for (const i of this.seen(this.boxes, view.y0, view.y1)) {
      if (this.placed.x[i]! > view.x1 || this.placed.x[i]! + this.placed.w[i]! < view.x0) continue;
      this.drawn++;
      this.box(c, i, k, theme, marks, shades);
    }
  }

  private frames(c: CanvasRenderingContext2D, view: View, k: number, theme: Theme): void {
    const { placed, graph } = this;
    c.lineWidth = Math.max(1, 0.7 / k); c.strokeStyle = theme.rim;
    for (const i of this.open) {
      if (placed.y[i]! > view.y1 || placed.y[i]! + placed.h[i]! < view.y0) continue;
      const depth = graph.depth[placed.id[i]! - graph.items.length]!;
      c.fillStyle = theme.tints[Math.min(4, depth)]!;
      if (k < FAINT) { c.fillRect(placed.x[i]!, placed.y[i]!, placed.w[i]!, placed.h[i]!); continue; }
      round(c, placed.x[i]!, placed.y[i]!, placed.w[i]!, placed.h[i]!, 8); c.fill(); c.stroke();
    }
  }

  /** Headers stick to the top of the view while their block is there, inner ones below outer ones. */
  private heads(c: CanvasRenderingContext2D, view: View, k: number, theme: Theme, marks: Marks): void {
    this.bands.length = 0;
    if (k * SIZE < LEGIBLE / 2) return;
    const { placed, graph } = this, size = Math.max(SIZE, LEGIBLE / k);
    if (size > HEAD) return;
    c.textAlign = "left"; c.textBaseline = "middle";
    for (const i of this.open) {
      const id = placed.id[i]!, left = placed.x[i]!, top = placed.y[i]!, wide = placed.w[i]!, low = top + placed.h[i]!;
      if (top > view.y1 || low < view.y0 || left > view.x1 || left + wide < view.x0) continue;
      const depth = graph.depth[id - graph.items.length]!, y = Math.min(Math.max(top, view.y0 + (depth - 1) * HEAD), low - HEAD);
      this.bands.push({ i, y });
      if (id === marks.selected) { c.strokeStyle = theme.ring; c.lineWidth = 2.5; round(c, left, top, wide, placed.h[i]!, 8); c.stroke(); }
      c.font = `600 ${size}px ${FONT}`;
      const title = "− " + blockTitle(graph, id - graph.items.length), text = this.width(c, title, size), x = Math.max(left + 8, Math.min(view.x0 + 8, left + wide - text - 8));
      c.fillStyle = theme.tints[Math.min(4, depth)]!;
      if (y > top) c.fillRect(left + 1, y, wide - 2, HEAD); else c.fillRect(x - 2, y + 3, Math.min(text + 4, wide - 12), HEAD - 4);
      if (y > top) { c.strokeStyle = theme.rim; c.lineWidth = 0.5; c.beginPath(); c.moveTo(left, y + HEAD); c.lineTo(left + wide, y + HEAD); c.stroke(); }
      c.fillStyle = theme.text;
      if (text <= wide - 12) c.fillText(title, x, y + HEAD / 2);
    }
  }

  /** Width of a text in the font that is set; kept by its size at SIZE. */
  private width(c: CanvasRenderingContext2D, text: string, size: number): number {
    let known = this.widths.get(text);
    if (known === undefined) this.widths.set(text, known = (c.measureText(text).width * SIZE) / size);
    return (known * size) / SIZE;
  }

  private lines(c: CanvasRenderingContext2D, view: View, k: number, theme: Theme, marks: Marks): void {
    const { placed } = this, b = this.bounds, strong: number[] = [], lit: number[] = [];
    const labels: number[] = [];
    c.strokeStyle = theme.edge; c.fillStyle = theme.edge;
    c.lineWidth = Math.max(1.25, 0.7 / k);
    c.globalAlpha = marks.selected >= 0 ? 0.45 : 1;
    c.beginPath();
    const arrows = new Path2D();
    const one = (e: number) => {
      if (b[4 * e]! > view.x1 || b[4 * e + 1]! < view.x0 || b[4 * e + 2]! > view.y1 || b[4 * e + 3]! < view.y0) return;
      const ends = [placed.id[placed.from[e]!]!, placed.id[placed.to[e]!]!];
      if (ends.includes(marks.selected) || ends.includes(marks.hover)) { strong.push(e); return; }
      if (placed.kind[e] === PORTAL) return;
      if (marks.ways.some((way) => way.has(ends[0]!) && way.has(ends[1]!))) { lit.push(e); return; }
      this.trace(c, e, k);
      if (k > 0.5) this.arrow(arrows, e);
      if (this.labels[e]) labels.push(e);
    };
    for (const e of this.seen(this.edges, view.y0, view.y1)) one(e);
    for (const e of this.long) one(e);
    c.stroke(); c.fill(arrows);
    c.globalAlpha = 1;
    this.bold(c, lit, k, theme);
    labels.push(...lit.filter((e) => this.labels[e]));
    for (const e of strong) {
      const incoming = placed.id[placed.to[e]!] === marks.selected;
      c.strokeStyle = theme.ring; c.fillStyle = theme.ring; c.lineWidth = Math.max(2, 1 / k);
      c.setLineDash(incoming ? [] : [6, 4]);
      c.beginPath(); this.trace(c, e, k); c.stroke(); c.setLineDash([]);
      const head = new Path2D(); this.arrow(head, e); c.fill(head);
      if (this.labels[e]) labels.push(e);
    }
    if (k * 10 >= LEGIBLE) this.shapes(c, labels, theme);
  }

  private bold(c: CanvasRenderingContext2D, edges: number[], k: number, theme: Theme): void {
    const heads = new Path2D();
    c.strokeStyle = theme.ring; c.fillStyle = theme.ring; c.lineWidth = Math.max(2, 1 / k);
    c.beginPath();
    for (const e of edges) { this.trace(c, e, k); if (k > 0.5) this.arrow(heads, e); }
    c.stroke(); c.fill(heads);
  }

  private shapes(c: CanvasRenderingContext2D, labels: number[], theme: Theme): void {
    const { placed, graph } = this;
    c.font = SHAPE_FONT; c.textAlign = "left"; c.textBaseline = "middle"; c.lineWidth = 3; c.lineJoin = "round";
    for (const e of labels) {
      const { text, x, y } = this.labels[e]!, from = placed.id[placed.from[e]!]!;
      const around = from < graph.items.length ? graph.items[from]!.block : graph.doc.blocks[from - graph.items.length]![3];
      c.strokeStyle = around > 0 ? theme.tints[Math.min(4, graph.depth[around]!)]! : theme.page;
      c.strokeText(text, x, y);
      c.fillStyle = theme.faint; c.fillText(text, x, y);
    }
  }

  private portals(c: CanvasRenderingContext2D, view: View, k: number, theme: Theme): void {
    c.font = PILL_FONT; c.textAlign = "center"; c.textBaseline = "middle"; c.lineWidth = 1; c.strokeStyle = theme.edge;
    for (const n of this.seen(this.pillBands, view.y0, view.y1)) {
      const { text, right, y, w } = this.pills[n]!;
      if (right < view.x0 || right - w > view.x1) continue;
      c.fillStyle = theme.ends;
      round(c, right - w, y - PILL_HIGH / 2, w, PILL_HIGH, PILL_HIGH / 2); c.fill(); c.stroke();
      c.fillStyle = theme.faint;
      if (k * 9 >= LEGIBLE) c.fillText(text, right - w / 2, y);
    }
  }

  /** The element at the other end of the pill at this place, or -1. */
  beyond(x: number, y: number): number {
    for (const n of this.seen(this.pillBands, y - PILL_HIGH, y + PILL_HIGH)) {
      const pill = this.pills[n]!;
      if (x >= pill.right - pill.w && x <= pill.right && Math.abs(y - pill.y) <= PILL_HIGH / 2) return pill.to;
    }
    return -1;
  }

  private trace(c: CanvasRenderingContext2D, e: number, k: number): void {
    const { starts, points } = this.placed;
    let p = starts[e]!;
    c.moveTo(points[2 * p]!, points[2 * p + 1]!);
    for (p++; p < starts[e + 1]!; p++) {
      const x0 = points[2 * p - 2]!, y0 = points[2 * p - 1]!, x1 = points[2 * p]!, y1 = points[2 * p + 1]!;
      const bend = (y1 - y0) / 2;
      if (k < 0.12 || x0 === x1) c.lineTo(x1, y1); else c.bezierCurveTo(x0, y0 + bend, x1, y1 - bend, x1, y1);
    }
  }

  private arrow(path: Path2D, e: number): void {
    const { starts, points } = this.placed, z = starts[e + 1]! - 1, x = points[2 * z]!, y = points[2 * z + 1]!;
    path.moveTo(x, y); path.lineTo(x - 3.5, y - 7); path.lineTo(x + 3.5, y - 7); path.closePath();
  }

  private box(c: CanvasRenderingContext2D, i: number, k: number, theme: Theme, marks: Marks, shades: Shades | null): void {
    const { placed, graph } = this, id = placed.id[i]!, isBlock = id >= graph.items.length;
    const x = placed.x[i]!, y = placed.y[i]!, w = placed.w[i]!, h = placed.h[i]!;
    const faded = marks.selected >= 0 && id !== marks.selected && !marks.near.has(id) && !marks.found.has(id);
    c.globalAlpha = faded ? 0.55 : 1;
    const look = this.look(id, theme, shades);
    c.fillStyle = look.fill; c.strokeStyle = look.border; c.lineWidth = isBlock ? 1.25 : 1;
    if (k < 0.12) { c.fillRect(x, y, w, h); c.globalAlpha = 1; return; }
    const repeat = isBlock ? graph.doc.blocks[id - graph.items.length]![4] : 1;
    if (repeat > 1) { round(c, x + 3, y + 3, w, h, 8); c.fill(); c.stroke(); }
    round(c, x, y, w, h, isBlock ? 8 : 5);
    const unknown = !isBlock && graph.items[id]!.family === "unknown";
    if (unknown) { c.lineWidth = 1.5; c.setLineDash([4, 3]); }
    c.fill(); c.stroke();
    if (unknown) c.setLineDash([]);
    if (isBlock && k > 0.25) this.mix(c, id - graph.items.length, theme, x + 8, y + h - 4, w - 16);
    if (marks.found.has(id) || id === marks.selected || id === marks.hover) this.ring(c, i, theme, id === marks.selected, marks.found.has(id));
    this.name(c, id, x + w / 2, y + h / 2 - (isBlock ? 1 : 0), w, k, look.text);
    c.globalAlpha = 1;
  }

  /** The whole label, or where the zoom leaves no room for it, its first word, or nothing. */
  private name(c: CanvasRenderingContext2D, id: number, x: number, y: number, w: number, k: number, colour: string): void {
    const { graph } = this, isBlock = id >= graph.items.length, size = Math.max(SIZE, LEGIBLE / k);
    if (size > HEAD) return;
    c.font = `${isBlock ? "600 " : ""}${size}px ${FONT}`;
    const whole = isBlock ? "+ " + blockTitle(graph, id - graph.items.length) : graph.items[id]!.label;
    const text = [whole, isBlock ? blockName(graph, id - graph.items.length) : whole.split(" ")[0]!].find((one) => this.width(c, one, size) <= w - 6);
    if (!text) return;
    c.fillStyle = colour; c.textBaseline = "middle"; c.textAlign = "center";
    c.fillText(text, x, y);
  }

  private ring(c: CanvasRenderingContext2D, i: number, theme: Theme, selected: boolean, found: boolean): void {
    const { x, y, w, h } = this.placed;
    c.strokeStyle = theme.page; c.lineWidth = 3; round(c, x[i]! - 2, y[i]! - 2, w[i]! + 4, h[i]! + 4, 8); c.stroke();
    c.strokeStyle = found && !selected ? "#d9480f" : theme.ring; c.lineWidth = selected ? 3 : 2;
    round(c, x[i]! - 4, y[i]! - 4, w[i]! + 8, h[i]! + 8, 9); c.stroke();
  }

  look(id: number, theme: Theme, shades: Shades | null): { fill: string; text: string; border: string } {
    const { graph } = this, amount = shades?.amount[id] ?? NaN;
    if (shades && !Number.isNaN(amount)) {
      const t = levelOf(amount, shades, rangeOf(shades, this.placed));
      return { fill: css(sequential(t)), text: t > 0.55 ? "#16202c" : "#ffffff", border: theme.rim };
    }
    if (id >= graph.items.length) return { fill: theme.block, text: theme.text, border: theme.rim };
    const family = graph.doc.families[graph.items[id]!.family];
    return family ? familyLook(family, theme) : { fill: theme.ends, text: theme.text, border: theme.text };
  }

  private readonly mixes = new Map<number, [string, number][]>();
  private mix(c: CanvasRenderingContext2D, block: number, theme: Theme, x: number, y: number, w: number): void {
    let parts = this.mixes.get(block);
    if (!parts) this.mixes.set(block, parts = familyMix(this.graph, block));
    for (const [family, share] of parts) {
      c.fillStyle = familyLook(this.graph.doc.families[family]!, theme).fill;
      c.fillRect(x, y, share * w, 3);
      x += share * w;
    }
  }
}

interface Range { low: number; high: number }
const ranges = new WeakMap<Placed, Map<Shades, Range>>();
const DECADES = 1e6;

/** The ends of the scale: over the boxes that are shown; a logarithmic scale spans at most six decades. */
export function rangeOf(shades: Shades, placed: Placed): Range {
  let known = ranges.get(placed);
  if (!known) ranges.set(placed, known = new Map());
  const found = known.get(shades);
  if (found) return found;
  let low = Infinity, high = 0;
  placed.id.forEach((id, i) => {
    const amount = shades.amount[id]!;
    if (placed.open[i] || Number.isNaN(amount)) return;
    high = Math.max(high, amount);
    if (amount > 0) low = Math.min(low, amount);
  });
  const made = { low: shades.row.scale === "log" && high > 0 ? Math.max(low, high / DECADES) : 0, high };
  known.set(shades, made);
  return made;
}

function levelOf(amount: number, shades: Shades, { low, high }: Range): number {
  if (high <= 0 || amount <= low) return 0;
  if (shades.row.scale === "linear") return amount / high;
  return high > low ? Math.log(amount / low) / Math.log(high / low) : 1;
}

function blockName(graph: Graph, block: number): string {
  const [, label, , , repeat] = graph.doc.blocks[block]!;
  return `${cut(plain(label || "block"), 36)}${repeat > 1 ? ` ×${repeat}` : ""}`;
}

export function blockTitle(graph: Graph, block: number): string {
  return `${blockName(graph, block)}  ${graph.count[block]!} ops${graph.parameters[block]! > 0 ? ", " + short(graph.parameters[block]!) : ""}`;
}

export function short(n: number): string {
  for (const [unit, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]] as const) if (n >= size) return (n / size).toPrecision(3) + " " + unit;
  return String(n);
}

function familyMix(graph: Graph, block: number): [string, number][] {
  const counts = new Map<string, number>(), stack = [block];
  for (let b = stack.pop(); b !== undefined; b = stack.pop()) {
    for (const i of graph.own[b]!) counts.set(graph.items[i]!.family, (counts.get(graph.items[i]!.family) ?? 0) + 1);
    stack.push(...graph.children[b]!);
  }
  return Object.keys(graph.doc.families).filter((f) => counts.has(f)).map((f) => [f, counts.get(f)! / graph.count[block]!]);
}

function round(c: CanvasRenderingContext2D, x: number, y: number, w: number, h: number, r: number): void {
  c.beginPath(); c.roundRect(x, y, w, h, r);
}
