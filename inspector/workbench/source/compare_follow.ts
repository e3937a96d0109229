// Where must B be looked at while A is looked at here? Matched boxes keep the same height on the screen.
import type { Placed } from "./layout";
import type { Match, Side } from "./compare_match";

/** Boxes of A and B by their place in `Placed`. */
export interface Link { i: number; j: number; id: number; partner: number }

/** One link for each two shown boxes that hold partners. */
export function linksOf(match: Match, a: Placed, b: Placed): Link[] {
  const boxA = shownBy(match.a, a), boxB = shownBy(match.b, b), found = new Map<number, Link>();
  match.a.graph.items.forEach((_, item) => {
    for (const other of match.a.partners[item]!) {
      const i = boxA(item), j = boxB(other);
      if (i >= 0 && j >= 0) found.set(i * b.id.length + j, { i, j, id: a.id[i]!, partner: b.id[j]! });
    }
  });
  return [...found.values()];
}

function shownBy({ graph }: Side, placed: Placed): (item: number) => number {
  const places = new Map<number, number>();
  placed.id.forEach((id, i) => { if (!placed.open[i]) places.set(id, i); });
  return (item) => {
    const own = places.get(item);
    if (own !== undefined) return own;
    for (let b = graph.items[item]!.block; b > 0; b = graph.doc.blocks[b]![3]) { const place = places.get(graph.items.length + b); if (place !== undefined) return place; }
    return -1;
  };
}

export interface Follow { toB(y: number): number; toA(y: number): number }

/** Heights of A and B tied together along the longest run of links that do not cross. */
export function followOf(links: Link[], a: Placed, b: Placed): Follow {
  const middle = (placed: Placed, i: number) => placed.y[i]! + placed.h[i]! / 2;
  const points = links.map(({ i, j }): [number, number] => [middle(a, i), middle(b, j)]).sort((p, q) => p[0] - q[0] || p[1] - q[1]);
  const run = rising(points), back = run.map(([y, z]): [number, number] => [z, y]);
  return { toB: (y) => between(run, y), toA: (y) => between(back, y) };
}

function rising(points: [number, number][]): [number, number][] {
  const ends: number[] = [], before = new Int32Array(points.length);
  points.forEach(([x, y], n) => {
    let low = 0, high = ends.length;
    while (low < high) { const mid = (low + high) >> 1; if (points[ends[mid]!]![1] < y && points[ends[mid]!]![0] < x) low = mid + 1; else high = mid; }
    before[n] = low ? ends[low - 1]! : -1;
    ends[low] = n;
  });
  const run: [number, number][] = [];
  for (let n = ends.length ? ends[ends.length - 1]! : -1; n >= 0; n = before[n]!) run.push(points[n]!);
  return run.reverse();
}

function between(run: [number, number][], y: number): number {
  if (!run.length) return y;
  let low = 0, high = run.length;
  while (low < high) { const mid = (low + high) >> 1; if (run[mid]![0] <= y) low = mid + 1; else high = mid; }
  if (low === 0) return run[0]![1] + y - run[0]![0];
  const [x0, y0] = run[low - 1]!;
  if (low === run.length) return y0 + y - x0;
  const [x1, y1] = run[low]!;
  return y0 + ((y - x0) / (x1 - x0)) * (y1 - y0);
}
