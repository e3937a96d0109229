// Where does every visible box lie? Scopes are laid out one by one, innermost first, so time is linear.
import { arrange, type Cell, type Piece } from "./layers";

/** `tag` is the width of the label that an edge carries at its source, 0 for none. */
export interface Problem { parent: Int32Array; block: Int32Array; width: Float32Array; blockWidth: Float32Array; source: Int32Array; target: Int32Array; tag: Float32Array }
export interface Placed {
  /** Item number, or items + block number. */ id: Int32Array; x: Float32Array; y: Float32Array; w: Float32Array; h: Float32Array; open: Uint8Array;
  /** Edge e has the points from starts[e] to starts[e + 1] of `points` (x, y); `first` is one original edge of it. */
  from: Int32Array; to: Int32Array; kind: Uint8Array; first: Int32Array; starts: Int32Array; points: Float32Array;
  width: number; height: number;
}

export const NODE = 24, CLOSED = 30, HEAD = 22;
/** A value with more consumers than FAN draws no edge longer than FAR: both ends get a stub. */
const FAN = 6, FAR = 240, PAD = 14;
export const DRAWN = 0, PORTAL = 1;

interface Scope {
  members: number[]; w: number; h: number;
  /** Pieces of edges inside, by source and head. */ pieces: Map<number, Piece>;
  /** Where the edges of a source enter at the top and leave at the bottom, by source. */ entries: Map<number, Cell>; exits: Map<number, Cell>;
}
interface Drawn { from: number; to: number; first: number }

export function layout(problem: Problem, open: Set<number>): Placed {
  return new Layout(problem, open).run();
}

class Layout {
  private readonly items: number;
  private readonly blocks: number;
  private readonly opened: Uint8Array;
  private readonly hidden: Int32Array;
  private readonly depth: Int32Array;
  private readonly firsts: Int32Array;
  private readonly span: number;
  private readonly scopes = new Map<number, Scope>();
  private readonly cells = new Map<number, Cell>();
  private readonly drawn = new Map<number, Drawn>();
  private readonly fan = new Map<number, number>();
  private readonly tags = new Map<number, number>();

  constructor(private readonly problem: Problem, open: Set<number>) {
    const { parent, block } = problem;
    this.items = block.length;
    this.blocks = parent.length;
    this.span = this.items + this.blocks + 1;
    this.opened = new Uint8Array(this.blocks);
    this.hidden = new Int32Array(this.blocks).fill(-1);
    this.depth = new Int32Array(this.blocks);
    this.firsts = new Int32Array(this.blocks).fill(this.items);
    for (let i = 0; i < this.items; i++) this.firsts[block[i]!] = Math.min(this.firsts[block[i]!]!, i);
    for (let b = this.blocks - 1; b > 0; b--) this.firsts[parent[b]!] = Math.min(this.firsts[parent[b]!]!, this.firsts[b]!);
    for (let b = 0; b < this.blocks; b++) {
      const up = parent[b]!;
      const above = b === 0 || this.opened[up] === 1;
      this.depth[b] = b === 0 ? 0 : this.depth[up]! + 1;
      this.opened[b] = above && (b === 0 || open.has(b)) ? 1 : 0;
      if (!this.opened[b]) this.hidden[b] = above ? b : this.hidden[up]!;
      if (this.opened[b]) this.scopes.set(b, { members: [], w: 0, h: 0, pieces: new Map(), entries: new Map(), exits: new Map() });
      if (b > 0 && above && this.firsts[b]! < this.items) this.scopes.get(up)!.members.push(this.items + b);
    }
    for (let i = 0; i < this.items; i++) if (this.hidden[block[i]!] === -1) this.scopes.get(block[i]!)!.members.push(i);
  }

  run(): Placed {
    this.lift();
    for (const edge of this.drawn.values()) this.cut(edge);
    for (let b = this.blocks - 1; b >= 0; b--) if (this.opened[b]) this.lay(b);
    return this.collect();
  }

  private around(element: number): number {
    return element < this.items ? this.problem.block[element]! : this.problem.parent[element - this.items]!;
  }

  private shown(item: number): number {
    const closed = this.hidden[this.problem.block[item]!]!;
    return closed === -1 ? item : this.items + closed;
  }

  /** One drawn edge for every pair of deepest visible elements, none inside a closed block. */
  private lift(): void {
    const { source, target, tag } = this.problem;
    for (let e = 0; e < source.length; e++) {
      const from = this.shown(source[e]!), to = this.shown(target[e]!), pair = from * this.span + to;
      if (from === to || this.drawn.has(pair)) continue;
      this.drawn.set(pair, { from, to, first: e });
      this.fan.set(from, (this.fan.get(from) ?? 0) + 1);
      if (tag[e]! > (this.tags.get(from) ?? 0)) this.tags.set(from, tag[e]!);
    }
  }

  private hub(from: number): boolean { return this.fan.get(from)! > FAN; }

  /** The elements of both ends in the innermost scope that holds both, and the scopes left and entered on the way. */
  private way(from: number, to: number): { a: number; b: number; left: number[]; entered: number[] } {
    let a = from, b = to;
    const left: number[] = [], entered: number[] = [];
    while (this.around(a) !== this.around(b)) {
      if (this.depth[this.around(a)]! >= this.depth[this.around(b)]!) { left.push(this.around(a)); a = this.items + this.around(a); }
      else { entered.push(this.around(b)); b = this.items + this.around(b); }
    }
    return { a, b, left, entered: entered.reverse() };
  }

  /** Cuts an edge into one piece for each scope it runs through; hubs only rank their consumers. */
  private cut({ from, to }: Drawn): void {
    const { a, b, left, entered } = this.way(from, to), hub = this.hub(from);
    if (a === b) return;
    const common = this.around(a);
    this.piece(common, from, b, { from: a, to: b, hub });
    if (hub) return;
    let inner = from;
    for (const scope of left) { this.port(scope, "exits", from); this.piece(scope, from, -1, { from: inner, to: -1, hub }); inner = this.items + scope; }
    entered.forEach((scope, n) => {
      const head = n + 1 < entered.length ? this.items + entered[n + 1]! : to;
      this.port(scope, "entries", from); this.piece(scope, from, head, { from: -1, to: head, hub });
    });
  }

  private port(scope: number, side: "entries" | "exits", source: number): void {
    const ports = this.scopes.get(scope)![side];
    if (!ports.has(source)) ports.set(source, { id: -1, l: 3, r: 3, h: 0, x: 0, y: 0, rank: 0, top: 0, bottom: 0 });
  }

  private piece(scope: number, source: number, head: number, ends: { from: number; to: number; hub: boolean }): void {
    const { pieces } = this.scopes.get(scope)!, key = source * this.span + head + 1;
    if (!pieces.has(key)) pieces.set(key, { ...ends, source, lane: 0, chain: [], way: [] });
  }

  private firstOf(id: number): number { return id < this.items ? id : this.firsts[id - this.items]!; }

  private cell(id: number): Cell {
    const { width, blockWidth } = this.problem, scope = id < this.items ? undefined : this.scopes.get(id - this.items);
    const w = id < this.items ? width[id]! : scope ? scope.w : blockWidth[id - this.items]!, tag = scope ? 0 : this.tags.get(id) ?? 0;
    return { id, l: w / 2, r: Math.max(w / 2, tag ? tag + 8 : 0), h: id < this.items ? NODE : scope ? scope.h : CLOSED, x: 0, y: 0, rank: 0, top: 0, bottom: 0 };
  }

  private lay(b: number): void {
    const scope = this.scopes.get(b)!;
    const members = scope.members.sort((p, q) => this.firstOf(p) - this.firstOf(q)).map((id) => this.cell(id));
    for (const cell of members) this.cells.set(cell.id, cell);
    const shift = (end: "entries" | "exits") => (id: number, source: number) => {
      const inner = id < this.items ? undefined : this.scopes.get(id - this.items), port = inner?.[end].get(source);
      return port ? port.x - inner!.w / 2 : 0;
    };
    const size = arrange({ members, entries: scope.entries, exits: scope.exits, pieces: [...scope.pieces.values()], top: b === 0 ? 0 : HEAD, side: b === 0 ? 0 : PAD,
      least: b === 0 ? 0 : this.problem.blockWidth[b]!, leaving: shift("exits"), entering: shift("entries") });
    scope.w = size.w; scope.h = size.h;
  }

  private collect(): Placed {
    const id: number[] = [];
    const walk = (b: number, dx: number, dy: number): void => {
      for (const member of this.scopes.get(b)!.members) {
        const cell = this.cells.get(member)!;
        cell.x += dx; cell.y += dy;
        id.push(member);
        if (member >= this.items && this.opened[member - this.items]) walk(member - this.items, cell.x - cell.l, cell.y);
      }
    };
    walk(0, 0, 0);
    const take = (f: (cell: Cell) => number) => Float32Array.from(id, (i) => f(this.cells.get(i)!));
    const root = this.scopes.get(0)!;
    return { id: Int32Array.from(id), x: take((c) => c.x - c.l), y: take((c) => c.y), w: take((c) => 2 * c.l), h: take((c) => c.h),
      open: Uint8Array.from(id, (i) => (i >= this.items ? this.opened[i - this.items]! : 0)), ...this.routes(id), width: root.w, height: root.h };
  }

  private routes(id: number[]): Pick<Placed, "from" | "to" | "kind" | "first" | "starts" | "points"> {
    const from: number[] = [], to: number[] = [], kind: number[] = [], first: number[] = [], starts = [0], points: number[] = [];
    const number = new Map<number, number>(id.map((of, i) => [of, i]));
    for (const edge of this.drawn.values()) {
      const { a, b, left, entered } = this.way(edge.from, edge.to);
      if (a === b) continue;
      const p = this.cells.get(edge.from)!, q = this.cells.get(edge.to)!, portal = this.hub(edge.from) && q.y - p.y - p.h > FAR;
      points.push(p.x, p.y + p.h);
      if (!this.hub(edge.from)) {
        for (const scope of left) this.follow(points, scope, edge.from, -1);
        this.follow(points, this.around(a), edge.from, b);
        entered.forEach((scope, n) => this.follow(points, scope, edge.from, n + 1 < entered.length ? this.items + entered[n + 1]! : edge.to));
      }
      step(points, q.x, q.y);
      from.push(number.get(edge.from)!); to.push(number.get(edge.to)!); kind.push(portal ? PORTAL : DRAWN); first.push(edge.first);
      starts.push(points.length / 2);
    }
    return { from: Int32Array.from(from), to: Int32Array.from(to), kind: Uint8Array.from(kind), first: Int32Array.from(first), starts: Int32Array.from(starts), points: Float32Array.from(points) };
  }

  /** Appends the points between the ends of one piece. */
  private follow(points: number[], scope: number, source: number, head: number): void {
    const { way } = this.scopes.get(scope)!.pieces.get(source * this.span + head + 1)!;
    const frame = scope === 0 ? undefined : this.cells.get(this.items + scope)!, dx = frame ? frame.x - frame.l : 0, dy = frame ? frame.y : 0;
    for (let i = 0; i < way.length; i += 2) step(points, way[i]! + dx, way[i + 1]! + dy);
  }
}

function step(points: number[], x: number, y: number): void {
  const n = points.length;
  if (Math.abs(points[n - 2]! - x) + Math.abs(points[n - 1]! - y) > 0.01) points.push(x, y);
}
