// Where does every visible box lie? Scopes are laid out one by one, innermost first, so time is linear.
import { arrange, cellOf, follow, pieceOf, port, step, type Cell, type Extent, type Piece } from "./layers";

/** `tag` is the width of the label that an edge carries at its source, 0 for none. */
export interface Problem { parent: Int32Array; block: Int32Array; width: Float32Array; blockWidth: Float32Array; source: Int32Array; target: Int32Array; tag: Float32Array }
export interface Placed {
  /** Item number, or items + block number. */ id: Int32Array; x: Float32Array; y: Float32Array; w: Float32Array; h: Float32Array; open: Uint8Array;
  /** Edge e has the points from starts[e] to starts[e + 1] of `points` (x, y); `first` is one original edge of it. */
  from: Int32Array; to: Int32Array; kind: Uint8Array; first: Int32Array; starts: Int32Array; points: Float32Array;
  width: number; height: number;
}

export const NODE = 24, CLOSED = 30, HEAD = 22;
/** A value with more consumers than FAN draws no edge longer than FAR, nor does one whose reader is in another column far away: both ends get a stub. */
const FAN = 6, FAR = 240, PAD = 14;
export const DRAWN = 0, PORTAL = 1;

interface Scope {
  members: number[]; extent: Extent;
  /** Pieces of edges inside, by source and head. */ pieces: Map<number, Piece>;
  /** Where the edges of a source enter at the top and leave at the bottom, by source. */ entries: Map<number, Cell>; exits: Map<number, Cell>;
}
interface Drawn { from: number; to: number; first: number }
const NOTHING: Extent = { w: 0, h: 0, columns: [], cells: [] }, NOWHERE = port();

/** With `fold`, tall scopes go on in columns beside themselves. */
export function layout(problem: Problem, open: Set<number>, fold: boolean): Placed {
  return new Layout(problem, open, fold).run();
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
  private readonly cells: Cell[];
  private readonly drawn = new Map<number, Drawn>();
  private readonly fan = new Map<number, number>();
  private readonly tags = new Map<number, number>();

  constructor(private readonly problem: Problem, open: Set<number>, private readonly fold: boolean) {
    const { parent, block } = problem;
    this.items = block.length;
    this.blocks = parent.length;
    this.cells = Array.from({ length: this.items + this.blocks }, () => NOWHERE);
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
      if (this.opened[b]) this.scopes.set(b, { members: [], extent: NOTHING, pieces: new Map(), entries: new Map(), exits: new Map() });
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
    this.piece(common, from, a, b, hub);
    if (hub) return;
    let inner = from;
    for (const scope of left) { this.open(scope, "exits", from); this.piece(scope, from, inner, -1, hub); inner = this.items + scope; }
    entered.forEach((scope, n) => {
      this.open(scope, "entries", from);
      this.piece(scope, from, -1, n + 1 < entered.length ? this.items + entered[n + 1]! : to, hub);
    });
  }

  private open(scope: number, side: "entries" | "exits", source: number): void {
    const ports = this.scopes.get(scope)![side];
    if (!ports.has(source)) ports.set(source, port());
  }

  private piece(scope: number, source: number, from: number, to: number, hub: boolean): void {
    const { pieces } = this.scopes.get(scope)!, key = source * this.span + to + 1;
    if (!pieces.has(key)) pieces.set(key, pieceOf(source, from, to, hub, NOWHERE));
  }

  private firstOf(id: number): number { return id < this.items ? id : this.firsts[id - this.items]!; }

  private cell(id: number): Cell {
    const { width, blockWidth } = this.problem, scope = id < this.items ? undefined : this.scopes.get(id - this.items);
    const w = id < this.items ? width[id]! : scope ? scope.extent.w : blockWidth[id - this.items]!, tag = scope ? 0 : this.tags.get(id) ?? 0;
    const cell = cellOf(id, w / 2, Math.max(w / 2, tag ? tag + 8 : 0), id < this.items ? NODE : scope ? scope.extent.h : CLOSED);
    cell.wide = scope !== undefined && scope.extent.columns.length > 1;
    return cell;
  }

  /** How far from an element's middle a source's edges cross its border: 0 unless it is an open block. */
  private beside(id: number, source: number, side: "entries" | "exits"): number {
    const inner = id < this.items ? undefined : this.scopes.get(id - this.items), found = inner?.[side].get(source);
    return found ? found.x - inner!.extent.w / 2 : 0;
  }

  private lay(b: number): void {
    const scope = this.scopes.get(b)!, { entries, exits } = scope, pieces = [...scope.pieces.values()];
    const members = scope.members.sort((p, q) => this.firstOf(p) - this.firstOf(q)).map((id) => (this.cells[id] = this.cell(id)));
    for (const piece of pieces) {
      piece.a = piece.from < 0 ? entries.get(piece.source)! : this.cells[piece.from]!;
      piece.b = piece.to < 0 ? exits.get(piece.source)! : this.cells[piece.to]!;
      piece.out = piece.from < 0 ? 0 : this.beside(piece.from, piece.source, "exits");
      piece.in = piece.to < 0 ? 0 : this.beside(piece.to, piece.source, "entries");
    }
    scope.extent = arrange({ members, entries, exits, pieces, top: b === 0 ? 0 : HEAD, side: b === 0 ? 0 : PAD, least: b === 0 ? 0 : this.problem.blockWidth[b]!, fold: this.fold });
  }

  private collect(): Placed {
    const id: number[] = [];
    const walk = (b: number, dx: number, dy: number): void => {
      const { members, extent } = this.scopes.get(b)!;
      for (const cell of extent.cells) { cell.x += dx; cell.y += dy; cell.top += dy; cell.bottom += dy; }
      for (const column of extent.columns) { column.edge += dx; column.gutter += dx; column.top += dy; column.bottom += dy; }
      for (const member of members) {
        const cell = this.cells[member]!;
        id.push(member);
        if (member >= this.items && this.opened[member - this.items]) walk(member - this.items, cell.x - cell.l, cell.y);
      }
    };
    walk(0, 0, 0);
    const take = (f: (cell: Cell) => number) => Float32Array.from(id, (i) => f(this.cells[i]!));
    const { w, h } = this.scopes.get(0)!.extent;
    return { id: Int32Array.from(id), x: take((c) => c.x - c.l), y: take((c) => c.y), w: take((c) => 2 * c.l), h: take((c) => c.h),
      open: Uint8Array.from(id, (i) => (i >= this.items ? this.opened[i - this.items]! : 0)), ...this.routes(id), width: w, height: h };
  }

  private routes(id: number[]): Pick<Placed, "from" | "to" | "kind" | "first" | "starts" | "points"> {
    const from: number[] = [], to: number[] = [], kind: number[] = [], first: number[] = [], starts = [0], points: number[] = [];
    const number = new Int32Array(this.span);
    id.forEach((of, i) => { number[of] = i; });
    for (const edge of this.drawn.values()) {
      const { a, b, left, entered } = this.way(edge.from, edge.to), hub = this.hub(edge.from);
      if (a === b) continue;
      const p = this.cells[edge.from]!, q = this.cells[edge.to]!;
      points.push(p.x, p.y + p.h);
      const way: [scope: number, head: number][] = hub ? [[this.around(a), b]] : [...left.map((scope): [number, number] => [scope, -1]), [this.around(a), b],
        ...entered.map((scope, n): [number, number] => [scope, n + 1 < entered.length ? this.items + entered[n + 1]! : edge.to])];
      const far = way.some(([scope, head]) => this.pieceAt(scope, edge.from, head).broken) || (hub && (q.y - p.y - p.h > FAR || q.y < p.y));
      if (!hub && !far) for (const [scope, head] of way) this.follow(points, scope, this.pieceAt(scope, edge.from, head));
      step(points, q.x, q.y);
      from.push(number[edge.from]!); to.push(number[edge.to]!); kind.push(far ? PORTAL : DRAWN); first.push(edge.first);
      starts.push(points.length / 2);
    }
    return { from: Int32Array.from(from), to: Int32Array.from(to), kind: Uint8Array.from(kind), first: Int32Array.from(first), starts: Int32Array.from(starts), points: Float32Array.from(points) };
  }

  private pieceAt(scope: number, source: number, head: number): Piece { return this.scopes.get(scope)!.pieces.get(source * this.span + head + 1)!; }

  private follow(points: number[], scope: number, piece: Piece): void {
    const { extent } = this.scopes.get(scope)!, top = scope === 0 ? 0 : this.cells[this.items + scope]!.y;
    follow(piece, top, top + extent.h, extent.columns, points);
  }
}
