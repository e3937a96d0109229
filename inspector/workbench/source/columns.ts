// How does a tall scope go on beside itself? Cut between two rows where few edges pass, and on at the top of the next column.
import { LANE, type Cell, type Extent, type Piece, type Rows } from "./layers";

/** A stretch of rows one below the other; `edge` is where its lanes begin, `gutter` where edges rise to the next column. */
export interface Column { top: number; bottom: number; edge: number; gutter: number; /** Numbers of the sources whose edges go on in the next column, from right to left. */ over: Map<number, number> }

/** Scopes up to TALL stay as they are; columns are at least LEAST high, the whole about WIDE times as wide as high. */
const TALL = 3000, LEAST = 900, WIDE = 1.6, SLACK = 0.3, CHANNEL = 16, BESIDE = 10;

/** Numbers of the rows at which a new column begins: near even heights, where the fewest edges pass. */
export function cutsOf(rows: number[][], cells: Cell[], pieces: Piece[], h: number): number[] {
  if (h <= TALL) return [];
  const [left, right] = reach(cells), count = Math.min(Math.round(Math.sqrt((WIDE * h) / (right - left))), Math.floor(h / LEAST));
  const passing = new Int32Array(rows.length + 1), top = rows.map((row) => cells[row[0]!]!.top), cuts: number[] = [];
  for (const { a, b, hub } of pieces) if (!hub && a.rank < b.rank) { passing[a.rank + 1]!++; passing[b.rank + 1]!--; }
  for (let r = 1; r < passing.length; r++) passing[r]! += passing[r - 1]!;
  for (let c = 1; c < count; c++) {
    const wanted = (c * h) / count, off = (r: number) => Math.abs(top[r]! - wanted);
    let best = -1;
    for (let r = (cuts.at(-1) ?? 0) + 1; r < rows.length; r++)
      if (off(r) < (SLACK * h) / count && (best < 0 || passing[r]! < passing[best]! || (passing[r] === passing[best] && off(r) < off(best)))) best = r;
    if (best > 0) cuts.push(best);
  }
  return cuts;
}

/** Moves the cells, which lie in one column `h` high, into the columns that begin at these rows. */
export function spread(rows: number[][], cells: Cell[], { pieces, side, least }: Rows, cuts: number[], h: number): Extent {
  const starts = [0, ...cuts], columns = starts.map((): Column => ({ top: 0, bottom: 0, edge: 0, gutter: 0, over: new Map() }));
  starts.forEach((from, c) => rows.slice(from, starts[c + 1]).flat().forEach((i) => { cells[i]!.col = c; }));
  const lanes = cuts.length ? connect(pieces, columns) : [lanesOf(pieces)];
  const room = Math.max(...columns.map(({ over }) => over.size)), low = cells.reduce((most, cell) => Math.max(most, cell.bottom), 0);
  let x = side, tall = 0;
  columns.forEach((column, c) => {
    const inside = rows.slice(starts[c], starts[c + 1]).flat().map((i) => cells[i]!), [left, right] = reach(inside), first = inside[0]?.top ?? 0;
    const dy = c ? cells[rows[0]![0]!]!.top + 2 * CHANNEL + LANE * room - first : 0, dx = x - left;
    for (const cell of inside) { cell.x += dx; cell.y += dy; cell.top += dy; cell.bottom += dy; column.bottom = Math.max(column.bottom, cell.bottom); }
    column.top = first + dy; column.edge = right + dx + BESIDE;
    column.gutter = right + dx + (lanes[c] ? BESIDE + LANE * lanes[c]! : 0) + CHANNEL;
    x = column.gutter + LANE * column.over.size + CHANNEL;
    tall = Math.max(tall, column.bottom + (column.over.size ? CHANNEL + LANE * column.over.size : 0));
  });
  const natural = columns.at(-1)!.gutter - CHANNEL + side, w = Math.max(natural, least), shift = (w - natural) / 2;
  for (const cell of cells) cell.x += shift;
  for (const column of columns) { column.edge += shift; column.gutter += shift; }
  return { w, h: tall + h - low, columns, cells };
}

const lanesOf = (pieces: Piece[]) => pieces.reduce((most, piece) => Math.max(most, piece.lane), 0);

/** Which sources go on in the next column, which pieces cannot be drawn, and how many lanes each column has. */
function connect(pieces: Piece[], columns: Column[]): number[] {
  const lanes = columns.map(() => new Map<number, number>()), x = columns.map(() => new Map<number, number>());
  for (const piece of pieces) {
    const { a, b, chain, source } = piece;
    piece.broken = a.col !== b.col && (piece.hub || piece.lane > 0 || a.rank >= b.rank);
    if (piece.broken) continue;
    if (piece.lane) { const mine = lanes[a.col]!; piece.lane = mine.get(source) ?? mine.size + 1; mine.set(source, piece.lane); }
    let last = a;
    for (const cell of [...chain, b]) { if (cell.col !== last.col) x[last.col]!.set(source, last.x); last = cell; }
  }
  columns.forEach(({ over }, c) => [...x[c]!].sort((p, q) => q[1] - p[1] || p[0] - q[0]).forEach(([source], k) => over.set(source, k)));
  return lanes.map((mine) => mine.size);
}

/** The way from below one column to above the next: down, aside, up, aside. */
export function aside(columns: Column[], from: Cell, to: Cell, source: number, x0: number, x1: number): number[] {
  if (from.col === to.col) return [];
  const column = columns[from.col]!, k = column.over.get(source)!, low = column.bottom + CHANNEL + LANE * k, x = column.gutter + LANE * k;
  const high = columns[to.col]!.top - CHANNEL - LANE * (column.over.size - 1 - k);
  return [x0, low, x, low, x, high, x1, high];
}

function reach(cells: Cell[]): [left: number, right: number] {
  if (!cells.length) return [0, 0];
  return cells.reduce(([left, right], cell) => [Math.min(left, cell.x - cell.l), Math.max(right, cell.x + cell.r)], [Infinity, -Infinity]);
}
