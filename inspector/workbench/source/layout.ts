// Where does every visible box lie? Scopes are laid out one by one, innermost first, so time is linear.

export interface Problem { parent: Int32Array; block: Int32Array; width: Float32Array; blockWidth: Float32Array; source: Int32Array; target: Int32Array }
export interface Placed {
  /** Item number, or items + block number. */ id: Int32Array; x: Float32Array; y: Float32Array; w: Float32Array; h: Float32Array; open: Uint8Array;
  /** Edge e has the points from starts[e] to starts[e + 1] of `points` (x, y); `first` is one original edge of it. */
  from: Int32Array; to: Int32Array; kind: Uint8Array; first: Int32Array; starts: Int32Array; points: Float32Array;
  width: number; height: number;
}

export const NODE = 24, CLOSED = 30, HEAD = 22, PAD = 14, SIDE = 18, GAP = 34;
const VIRTUAL = 6, SHORT = 6, FAN = 6, LANE = 6, FAR = 240, SWEEPS = 4, PASSES = 6;
export const DIRECT = 0, ROUTED = 1, SIDELANE = 2, PORTAL = 3;

interface Element { id: number; w: number; h: number; x: number; y: number; rank: number; first: number }
interface Local { from: number; to: number; kind: number; way: number[] }
interface Scope { members: number[]; edges: Map<number, Local>; w: number; h: number }

export function layout(problem: Problem, open: Set<number>): Placed {
  return new Layout(problem, open).run();
}

class Layout {
  private readonly items: number;
  private readonly blocks: number;
  private readonly opened: Uint8Array;
  private readonly hidden: Int32Array;
  private readonly depth: Int32Array;
  private readonly scopes = new Map<number, Scope>();
  private readonly places = new Map<number, Element>();
  private readonly firsts: Int32Array;
  private readonly drawn = new Map<number, { from: number; to: number; scope: number; local: number; first: number }>();

  constructor(private readonly problem: Problem, open: Set<number>) {
    const { parent, block } = problem;
    this.items = block.length;
    this.blocks = parent.length;
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
      if (this.opened[b]) this.scopes.set(b, { members: [], edges: new Map(), w: 0, h: 0 });
      if (b > 0 && above && this.firsts[b]! < this.items) this.scopes.get(up)!.members.push(this.items + b);
    }
    for (let i = 0; i < this.items; i++) if (this.hidden[block[i]!] === -1) this.scopes.get(block[i]!)!.members.push(i);
  }

  run(): Placed {
    this.lift();
    for (let b = this.blocks - 1; b >= 0; b--) if (this.opened[b]) this.arrange(b);
    return this.collect();
  }

  private around(element: number): number {
    return element < this.items ? this.problem.block[element]! : this.problem.parent[element - this.items]!;
  }

  private shown(item: number): number {
    const closed = this.hidden[this.problem.block[item]!]!;
    return closed === -1 ? item : this.items + closed;
  }

  private lift(): void {
    const { source, target } = this.problem;
    const span = this.items + this.blocks;
    for (let e = 0; e < source.length; e++) {
      const from = this.shown(source[e]!), to = this.shown(target[e]!);
      const pair = from * span + to;
      if (from === to || this.drawn.has(pair)) continue;
      let a = from, b = to;
      while (this.around(a) !== this.around(b)) {
        if (this.depth[this.around(a)]! >= this.depth[this.around(b)]!) a = this.items + this.around(a);
        else b = this.items + this.around(b);
      }
      if (a === b) continue;
      const scope = this.around(a), local = a * span + b;
      this.drawn.set(pair, { from, to, scope, local, first: e });
      const edges = this.scopes.get(scope)!.edges;
      if (!edges.has(local)) edges.set(local, { from: a, to: b, kind: DIRECT, way: [] });
    }
  }

  private firstOf(id: number): number { return id < this.items ? id : this.firsts[id - this.items]!; }

  private element(id: number): Element {
    const { width, blockWidth } = this.problem;
    if (id < this.items) return { id, w: width[id]!, h: NODE, x: 0, y: 0, rank: 0, first: id };
    const b = id - this.items, scope = this.scopes.get(b);
    return { id, w: scope ? Math.max(scope.w, blockWidth[b]!) : blockWidth[b]!, h: scope ? scope.h : CLOSED, x: 0, y: 0, rank: 0, first: this.firsts[b]! };
  }

  private arrange(b: number): void {
    const scope = this.scopes.get(b)!;
    const list = scope.members.sort((p, q) => this.firstOf(p) - this.firstOf(q)).map((id) => this.element(id));
    const index = new Map(list.map((element, i) => [element.id, i]));
    for (const element of list) this.places.set(element.id, element);
    const edges = [...scope.edges.values()].filter((e) => index.get(e.from)! < index.get(e.to)!);
    rank(list, index, edges);
    const { cells, rows, up, down } = chains(list, index, edges);
    order(rows, up, down);
    place(cells, rows, up, down);
    let top = b === 0 ? 0 : HEAD + PAD;
    for (const row of rows) {
      const high = Math.max(0, ...row.map((c) => cells[c]!.h));
      for (const c of row) cells[c]!.y = top + (high - cells[c]!.h) / 2;
      top += high + GAP;
    }
    let left = Infinity, right = -Infinity;
    for (const cell of cells) { left = Math.min(left, cell.x - cell.w / 2); right = Math.max(right, cell.x + cell.w / 2); }
    if (!cells.length) { left = 0; right = 0; }
    const lanes = new Map<number, number>();
    for (const edge of scope.edges.values()) if (edge.kind === SIDELANE && !lanes.has(edge.from)) lanes.set(edge.from, lanes.size);
    const content = right - left, room = lanes.size ? 10 + LANE * lanes.size : 0;
    const natural = content + room + (b === 0 ? 0 : 2 * PAD);
    scope.w = Math.max(natural, b === 0 ? 0 : this.problem.blockWidth[b]!);
    scope.h = top - GAP + (b === 0 ? 0 : PAD);
    const shift = (scope.w - natural) / 2 + (b === 0 ? 0 : PAD) - left;
    for (const cell of cells) cell.x += shift - cell.w / 2;
    for (const edge of scope.edges.values()) {
      if (edge.kind === SIDELANE) edge.way = [shift + right + 10 + LANE * lanes.get(edge.from)!];
      else if (edge.kind === ROUTED) edge.way = edge.way.flatMap((c) => [cells[c]!.x + VIRTUAL / 2, cells[c]!.y]);
    }
  }

  private collect(): Placed {
    const id: number[] = [], at = new Map<number, Element>();
    const walk = (b: number, dx: number, dy: number): void => {
      for (const member of this.scopes.get(b)!.members) {
        const element = this.places.get(member)!;
        element.x += dx; element.y += dy;
        id.push(member); at.set(member, element);
        if (member >= this.items && this.opened[member - this.items]) walk(member - this.items, element.x, element.y);
      }
    };
    walk(0, 0, 0);
    const { from, to, kind, first, starts, points } = this.routes(at);
    const take = (f: (e: Element) => number) => Float32Array.from(id, (i) => f(at.get(i)!));
    const root = this.scopes.get(0)!;
    return { id: Int32Array.from(id), x: take((e) => e.x), y: take((e) => e.y), w: take((e) => e.w), h: take((e) => e.h),
      open: Uint8Array.from(id, (i) => (i >= this.items ? this.opened[i - this.items]! : 0)),
      from: Int32Array.from(from), to: Int32Array.from(to), kind: Uint8Array.from(kind), first: Int32Array.from(first),
      starts: Int32Array.from(starts), points: Float32Array.from(points), width: root.w, height: root.h };
  }

  private routes(at: Map<number, Element>) {
    const from: number[] = [], to: number[] = [], kind: number[] = [], first: number[] = [], starts = [0], points: number[] = [];
    const number = new Map<number, number>([...at.keys()].map((id, i) => [id, i]));
    const fan = new Map<number, number>();
    for (const edge of this.drawn.values()) fan.set(edge.from, (fan.get(edge.from) ?? 0) + 1);
    for (const edge of this.drawn.values()) {
      const a = at.get(edge.from)!, b = at.get(edge.to)!, local = this.scopes.get(edge.scope)!.edges.get(edge.local)!;
      const frame = edge.scope === 0 ? { x: 0, y: 0 } : at.get(this.items + edge.scope)!;
      const x1 = a.x + a.w / 2, y1 = a.y + a.h, x2 = b.x + b.w / 2, y2 = b.y;
      points.push(x1, y1);
      const deep = edge.from !== local.from || edge.to !== local.to, far = y2 - y1 > FAR;
      if (far && fan.get(edge.from)! > FAN) {
        points.push(x2, y2);
        from.push(number.get(edge.from)!); to.push(number.get(edge.to)!); kind.push(PORTAL); first.push(edge.first);
        starts.push(points.length / 2);
        continue;
      }
      if (far && deep && local.kind === DIRECT) {
        const p = at.get(local.from)!, q = at.get(local.to)!, lane = Math.max(p.x + p.w, q.x + q.w) - PAD / 2;
        points.push(lane, y1 + 24, lane, y2 - 24);
      } else if (local.kind === SIDELANE) points.push(local.way[0]! + frame.x, y1 + 24, local.way[0]! + frame.x, y2 - 24);
      else if (local.kind === ROUTED) for (let i = 0; i < local.way.length; i += 2) points.push(local.way[i]! + frame.x, local.way[i + 1]! + frame.y);
      points.push(x2, y2);
      from.push(number.get(edge.from)!); to.push(number.get(edge.to)!); kind.push(local.kind); first.push(edge.first);
      starts.push(points.length / 2);
    }
    return { from, to, kind, first, starts, points };
  }
}

/** Longest path; then what has at most one predecessor moves down to its earliest consumer. */
function rank(list: Element[], index: Map<number, number>, edges: Local[]): void {
  const out: number[][] = list.map(() => []), into = new Int32Array(list.length);
  for (const edge of edges) { out[index.get(edge.from)!]!.push(index.get(edge.to)!); into[index.get(edge.to)!]!++; }
  list.forEach((element, i) => { for (const next of out[i]!) list[next]!.rank = Math.max(list[next]!.rank, element.rank + 1); });
  for (let i = list.length - 1; i >= 0; i--) {
    if (into[i]! > 1 || !out[i]!.length) continue;
    list[i]!.rank = Math.max(list[i]!.rank, Math.min(...out[i]!.map((next) => list[next]!.rank)) - 1);
  }
}

/** Edges over 2 to 6 ranks get a virtual cell in each rank between; longer ones a lane, fans a portal. */
function chains(list: Element[], index: Map<number, number>, edges: Local[]) {
  const cells = list.slice();
  const ranks = list.reduce((most, e) => Math.max(most, e.rank), -1) + 1;
  const rows: number[][] = Array.from({ length: ranks }, () => []);
  list.forEach((element, i) => rows[element.rank]!.push(i));
  const up: number[][] = list.map(() => []), down: number[][] = list.map(() => []);
  const fan = new Map<number, number>();
  for (const edge of edges) fan.set(edge.from, (fan.get(edge.from) ?? 0) + 1);
  const join = (a: number, b: number) => { down[a]!.push(b); up[b]!.push(a); };
  for (const edge of edges) {
    const a = index.get(edge.from)!, b = index.get(edge.to)!, span = list[b]!.rank - list[a]!.rank;
    if (span > 1 && fan.get(edge.from)! > FAN) { edge.kind = PORTAL; continue; }
    if (span > SHORT) { edge.kind = SIDELANE; continue; }
    let last = a;
    for (let r = list[a]!.rank + 1; r < list[b]!.rank; r++) {
      edge.kind = ROUTED;
      const cell = cells.length;
      cells.push({ id: -1, w: VIRTUAL, h: 0, x: 0, y: 0, rank: r, first: list[a]!.first });
      rows[r]!.push(cell); up.push([]); down.push([]); edge.way.push(cell);
      join(last, cell); last = cell;
    }
    join(last, b);
  }
  return { cells, rows, up, down };
}

function order(rows: number[][], up: number[][], down: number[][]): void {
  const place = new Float64Array(up.length);
  const note = (row: number[]) => row.forEach((cell, i) => { place[cell] = i; });
  rows.forEach(note);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const near = sweep % 2 ? down : up;
    for (let k = 0; k < rows.length; k++) {
      const row = rows[sweep % 2 ? rows.length - 1 - k : k]!;
      if (row.length < 2) continue;
      const wish = new Map(row.map((cell) => [cell, mean(near[cell]!, place) ?? place[cell]!]));
      row.sort((p, q) => wish.get(p)! - wish.get(q)! || place[p]! - place[q]!);
      note(row);
    }
  }
}

function mean(cells: number[], of: Float64Array): number | null {
  if (!cells.length) return null;
  let sum = 0;
  for (const cell of cells) sum += of[cell]!;
  return sum / cells.length;
}

/** Centres wander to the mean of their neighbours, order and distances kept. */
function place(cells: Element[], rows: number[][], up: number[][], down: number[][]): void {
  const x = new Float64Array(cells.length);
  for (const row of rows) {
    let at = 0;
    for (const cell of row) { x[cell] = at + cells[cell]!.w / 2; at += cells[cell]!.w + SIDE; }
    for (const cell of row) x[cell]! -= (at - SIDE) / 2;
  }
  for (let pass = 0; pass < PASSES; pass++) {
    for (let k = 0; k < rows.length; k++) {
      const row = rows[pass % 2 ? rows.length - 1 - k : k]!;
      const wish = row.map((cell) => mean((pass % 2 ? down : up)[cell]!, x) ?? x[cell]!);
      const space = (i: number) => (cells[row[i - 1]!]!.w + cells[row[i]!]!.w) / 2 + SIDE;
      const right = wish.slice(), left = wish.slice();
      for (let i = 1; i < row.length; i++) right[i] = Math.max(right[i]!, right[i - 1]! + space(i));
      for (let i = row.length - 2; i >= 0; i--) left[i] = Math.min(left[i]!, left[i + 1]! - space(i + 1));
      row.forEach((cell, i) => { x[cell] = (right[i]! + left[i]!) / 2; });
    }
  }
  cells.forEach((cell, i) => { cell.x = x[i]!; });
}
