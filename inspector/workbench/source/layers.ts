// How are the members of one scope put into rows? By longest path, then by the mean of their neighbours.
import { aside, cutsOf, spread, type Column } from "./columns";

/** A box, a port, or the place of an edge in a row it passes; `x` is the middle of the box, `l` and `r` reach to both sides of it. */
export interface Cell { id: number; l: number; r: number; h: number; x: number; y: number; rank: number; /** Of its row. */ top: number; bottom: number; /** Its number in the scope. */ at: number; /** Of the columns of the scope. */ col: number; /** A scope in columns, whose edges come and go far from its middle. */ wide: boolean }
/** The part of an edge inside one scope, from an element or the entry (-1) to an element or the exit (-1). */
export interface Piece {
  source: number; from: number; to: number; hub: boolean;
  /** The cells of both ends, and how far from their middles the edge leaves and enters. */ a: Cell; b: Cell; out: number; in: number;
  /** Number of its lane at the right, from 1; 0 for none. */ lane: number; chain: readonly Cell[]; /** Its ends lie in two columns and no line leads from one to the other. */ broken: boolean;
}
export interface Rows {
  members: Cell[]; entries: Map<number, Cell>; exits: Map<number, Cell>; pieces: Piece[];
  /** Height of the header. */ top: number; /** Room at both sides. */ side: number; /** Least width. */ least: number; /** Go on beside itself where it is tall. */ fold: boolean;
}
export interface Extent { w: number; h: number; columns: Column[]; /** All that lie in it, ports and passing edges too. */ cells: Cell[] }

export const LANE = 6;
const SIDE = 18, GAP = 34, BRIM = 22, SHORT = 6, CURVE = 20, ABREAST = 8, SWEEPS = 4, PASSES = 7;
const NONE: readonly never[] = [];

export function cellOf(id: number, l: number, r: number, h: number): Cell {
  return { id, l, r, h, x: 0, y: 0, rank: 0, top: 0, bottom: 0, at: 0, col: 0, wide: false };
}
/** Where an edge passes a row or a border. */
export const port = (): Cell => cellOf(-1, 3, 3, 0);

/** Places all cells inside the scope. */
export function arrange(scope: Rows): Extent {
  const list = [...scope.entries.values(), ...inOrder(scope.members, scope.pieces), ...scope.exits.values()];
  list.forEach((cell, i) => { cell.at = i; });
  const down = scope.pieces.filter(({ a, b }) => a.at < b.at);
  rank(list, down, scope.entries.size, list.length - scope.exits.size);
  const net = new Net(list, down);
  net.order();
  net.place();
  const { rows, cells } = net, h = heights(net, scope);
  return spread(rows, cells, scope, scope.fold ? cutsOf(rows, cells, scope.pieces, h) : [], h);
}

/** Producers before consumers, else in the given order; of a cycle the later edge is left out. */
function inOrder(members: Cell[], pieces: Piece[]): Cell[] {
  members.forEach((cell, i) => { cell.at = i; });
  const into: number[][] = members.map(() => []), state = new Uint8Array(members.length), sorted: Cell[] = [];
  for (const { from, to, a, b } of pieces) if (from >= 0 && to >= 0) into[b.at]!.push(a.at);
  for (const cell of members) {
    for (const stack = [cell.at]; stack.length;) {
      const i = stack[stack.length - 1]!;
      if (state[i]) { stack.pop(); if (state[i] === 1) { state[i] = 2; sorted.push(members[i]!); } continue; }
      state[i] = 1;
      for (const before of into[i]!.sort((p, q) => q - p)) if (!state[before]) stack.push(before);
    }
  }
  return sorted;
}

/** Longest path down, what has no edges spread over the rows; then elements with one producer sink to just above their first consumer. */
function rank(list: Cell[], links: Piece[], head: number, tail: number): void {
  const out: number[][] = list.map(() => []), into = new Int32Array(list.length);
  for (const { a, b } of links) { out[a.at]!.push(b.at); into[b.at]!++; }
  list.forEach((cell, i) => { for (const next of out[i]!) list[next]!.rank = Math.max(list[next]!.rank, cell.rank + 1); });
  const alone = list.map((_, i) => i).filter((i) => i >= head && i < tail && !out[i]!.length && !into[i]), joined = list.reduce((most, cell) => Math.max(most, cell.rank), 0);
  const abreast = Math.min(ABREAST, Math.ceil(alone.length / (joined + 1)));
  alone.forEach((i, n) => { list[i]!.rank = Math.floor(n / abreast); });
  const last = alone.length ? Math.max(joined, list[alone[alone.length - 1]!]!.rank) : joined;
  for (let i = tail; i < list.length; i++) list[i]!.rank = last;
  for (let i = tail - 1; i >= head; i--) {
    if (into[i]! > 1 || !out[i]!.length) continue;
    list[i]!.rank = Math.max(list[i]!.rank, out[i]!.reduce((least, next) => Math.min(least, list[next]!.rank), Infinity) - 1);
  }
}

/** Rows of cells and who is joined to whom between neighbouring rows. */
class Net {
  readonly rows: number[][] = [];
  readonly cells: Cell[];
  private readonly up: number[][];
  private readonly down: number[][];
  /** Wanted distance to the neighbour at the same place of `up` and `down`. */
  private readonly upBy: number[][];
  private readonly downBy: number[][];

  constructor(list: Cell[], links: Piece[]) {
    this.cells = list.slice();
    const ranks = list.reduce((most, cell) => Math.max(most, cell.rank), -1) + 1;
    for (let r = 0; r < ranks; r++) this.rows.push([]);
    list.forEach((cell, i) => this.rows[cell.rank]!.push(i));
    const empty = () => list.map((): number[] => []);
    [this.up, this.down, this.upBy, this.downBy] = [empty(), empty(), empty(), empty()];
    const lanes = new Map<number, number>();
    for (const link of links) this.chain(link, lanes);
    const joined = (cell: number) => this.up[cell]!.length + this.down[cell]!.length > 0;
    this.rows.forEach((row, r) => { this.rows[r] = [...row.filter(joined), ...row.filter((cell) => !joined(cell))]; });
  }

  /** An edge over 2 to 6 rows gets a cell in each row between; a longer one a lane, one for each source. */
  private chain(piece: Piece, lanes: Map<number, number>): void {
    const { a, b } = piece, span = b.rank - a.rank;
    if (span > 1 && piece.hub) return;
    if (span > SHORT) {
      if (!lanes.has(piece.source)) lanes.set(piece.source, lanes.size + 1);
      piece.lane = lanes.get(piece.source)!;
      return;
    }
    let last = a.at, by = a.wide ? 0 : piece.out;
    const chain: Cell[] = [];
    for (let r = a.rank + 1; r < b.rank; r++) {
      const cell = port(), at = this.cells.push(cell) - 1;
      cell.rank = r;
      this.rows[r]!.push(at); this.up.push([]); this.down.push([]); this.upBy.push([]); this.downBy.push([]);
      chain.push(cell);
      this.join(last, at, by); last = at; by = 0;
    }
    if (chain.length) piece.chain = chain;
    this.join(last, b.at, by - (b.wide ? 0 : piece.in));
  }

  private join(a: number, b: number, by: number): void {
    this.down[a]!.push(b); this.downBy[a]!.push(-by); this.up[b]!.push(a); this.upBy[b]!.push(by);
  }

  order(): void {
    const at = new Float64Array(this.cells.length);
    const note = (row: number[]) => row.forEach((cell, i) => { at[cell] = i; });
    this.rows.forEach(note);
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      const near = sweep % 2 ? this.down : this.up;
      for (let k = 0; k < this.rows.length; k++) {
        const row = this.rows[sweep % 2 ? this.rows.length - 1 - k : k]!;
        if (row.length < 2) continue;
        const wish = new Map(row.map((cell) => [cell, near[cell]!.length ? near[cell]!.reduce((sum, other) => sum + at[other]!, 0) / near[cell]!.length : at[cell]!]));
        row.sort((p, q) => wish.get(p)! - wish.get(q)! || at[p]! - at[q]!);
        note(row);
      }
    }
  }

  /** Cells wander to the mean of their neighbours, order and distances kept; the last pass hangs them below their producers. */
  place(): void {
    const { cells, rows } = this, x = new Float64Array(cells.length);
    for (const row of rows) {
      let at = 0;
      for (const cell of row) { x[cell] = at + cells[cell]!.l; at += cells[cell]!.l + cells[cell]!.r + SIDE; }
      for (const cell of row) x[cell]! -= (at - SIDE) / 2;
    }
    for (let pass = 0; pass < PASSES; pass++) {
      const near = pass % 2 ? this.down : this.up, by = pass % 2 ? this.downBy : this.upBy;
      for (let k = 0; k < rows.length; k++) {
        const row = rows[pass % 2 ? rows.length - 1 - k : k]!;
        const right = row.map((cell) => wished(near[cell]!, by[cell]!, x) ?? x[cell]!), left = right.slice();
        const space = (i: number) => cells[row[i - 1]!]!.r + cells[row[i]!]!.l + SIDE;
        for (let i = 1; i < row.length; i++) right[i] = Math.max(right[i]!, right[i - 1]! + space(i));
        for (let i = row.length - 2; i >= 0; i--) left[i] = Math.min(left[i]!, left[i + 1]! - space(i + 1));
        row.forEach((cell, i) => { x[cell] = (right[i]! + left[i]!) / 2; });
      }
    }
    cells.forEach((cell, i) => { cell.x = x[i]!; });
  }
}

function wished(near: number[], by: number[], x: Float64Array): number | null {
  if (!near.length) return null;
  let sum = 0;
  for (let n = 0; n < near.length; n++) sum += x[near[n]!]! + by[n]!;
  return sum / near.length;
}

/** Rows from top to bottom, closer where only ports are; returns the scope's height. */
function heights({ rows, cells }: Net, { top, side }: Rows): number {
  const high = rows.map((row) => row.reduce((most, c) => Math.max(most, cells[c]!.h), 0));
  let y = top + (top && high[0] ? side : 0);
  rows.forEach((row, k) => {
    for (const c of row) { const cell = cells[c]!; cell.top = y; cell.bottom = y + high[k]!; cell.y = y + (high[k]! - cell.h) / 2; }
    const last = k + 1 === rows.length;
    y += high[k]! + (last ? (high[k] ? side : 0) : high[k] && high[k + 1] ? GAP : BRIM);
  });
  return y;
}

/** Appends the points of one piece, straight through rows and bent only between them; the scope reaches from `top` to `low`. */
export function follow(piece: Piece, top: number, low: number, columns: Column[], points: number[]): void {
  const { a, b, source } = piece, x0 = a.x + piece.out, x1 = b.x + piece.in;
  step(points, x0, piece.from < 0 ? top : a.y + a.h);
  if (a.rank < b.rank) {
    step(points, x0, a.bottom);
    let last = a, at = x0;
    for (const cell of piece.chain) {
      points.push(...aside(columns, last, cell, source, at, cell.x));
      step(points, cell.x, cell.top); step(points, cell.x, cell.bottom);
      last = cell; at = cell.x;
    }
    if (piece.lane) { const x = columns[a.col]!.edge + LANE * (piece.lane - 1); step(points, x, a.bottom + CURVE); step(points, x, b.top - CURVE); }
    points.push(...aside(columns, last, b, source, at, x1));
    step(points, x1, b.top);
  }
  step(points, x1, piece.to < 0 ? low : b.y);
}

/** Appends a point unless it is the last one. */
export function step(points: number[], x: number, y: number): void {
  const n = points.length;
  if (Math.abs(points[n - 2]! - x) + Math.abs(points[n - 1]! - y) > 0.01) points.push(x, y);
}

export function pieceOf(source: number, from: number, to: number, hub: boolean, end: Cell): Piece {
  return { source, from, to, hub, a: end, b: end, out: 0, in: 0, lane: 0, chain: NONE, broken: false };
}
