// How does a value reach its many consumers without a line? By a pill at both ends that names the other.
import { cut, plain, type Graph } from "./graph";
import { PORTAL, type Placed } from "./layout";

export const PILL_FONT = "9px system-ui, sans-serif", PILL_HIGH = 13;
const CHARACTER = 5.4, ROOM = 10, OUTSIDE = 12, BESIDE = 7, ABOVE = 11, BELOW = 11;

/** Right end and middle height; `to` is the element that it leads to. */
export interface Pill { text: string; right: number; y: number; w: number; to: number }

/** One below each source, saying how many it reaches, and one above each consumer, with the name of what comes. */
export function pillsOf(graph: Graph, placed: Placed): Pill[] {
  const found: Pill[] = [], ends = new Map<number, number[]>(), taken = new Map<number, number>();
  for (let e = 0; e < placed.from.length; e++) {
    if (placed.kind[e] !== PORTAL) continue;
    const from = placed.from[e]!, to = placed.to[e]!, above = taken.get(to) ?? 0;
    ends.set(from, [...(ends.get(from) ?? []), e]);
    taken.set(to, above + 1);
    const value = plain(graph.doc.values[graph.value[placed.first[e]!]!]![0]), most = Math.floor((placed.w[to]! / 2 + OUTSIDE - ROOM) / CHARACTER);
    const text = cut(value.slice(value.lastIndexOf("/") + 1), most);
    found.push({ text, right: middle(placed, to) - BESIDE, y: placed.y[to]! - ABOVE - above * PILL_HIGH, w: text.length * CHARACTER + ROOM, to: placed.id[from]! });
  }
  for (const [from, edges] of ends) {
    const text = `→ ${edges.length}`, first = placed.to[edges[0]!]!;
    found.push({ text, right: middle(placed, from) - BESIDE, y: placed.y[from]! + placed.h[from]! + BELOW, w: text.length * CHARACTER + ROOM, to: placed.id[first]! });
  }
  return found;
}

const middle = (placed: Placed, i: number) => placed.x[i]! + placed.w[i]! / 2;
