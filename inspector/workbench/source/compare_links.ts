// How are matched boxes tied together on the screen? By curves across both drawings, in the colour of their state.
import type { Link } from "./compare_follow";
import type { Match } from "./compare_match";
import { lookOf, rankOf } from "./compare_states";
import type { Placed } from "./layout";
import type { Eye } from "./painter";
import type { Theme } from "./theme";

export interface Pane { placed: Placed; eye: Eye; left: number; width: number }
const FAR = 0.12, FAINT = 0.35, APART = 9;

/** Links with both ends in view, the chosen one always; returns how many were drawn. */
export function paintLinks(c: CanvasRenderingContext2D, match: Match, links: Link[], a: Pane, b: Pane, height: number, chosen: [number, number], theme: Theme): number {
  const middle = ({ placed, eye }: Pane, i: number) => (placed.y[i]! + placed.h[i]! / 2 - eye.y) * eye.k;
  const seen = (y: number) => y >= 0 && y <= height;
  let drawn = 0;
  for (const { i, j, id, partner } of a.eye.k < FAR ? thinned(match, links, a, b) : links) {
    const y0 = middle(a, i), y1 = middle(b, j), mine = id === chosen[0] || partner === chosen[1];
    if (!(seen(y0) && seen(y1)) && !(mine && (seen(y0) || seen(y1)))) continue;
    const kind = match.a.kinds[id] ?? "equal", quiet = kind === "equal" || kind === "ignored";
    if (quiet && !mine && a.eye.k < FAR) continue;
    const x0 = Math.min(a.left + a.width, Math.max(a.left, a.left + (a.placed.x[i]! + a.placed.w[i]! - a.eye.x) * a.eye.k));
    const x1 = Math.max(b.left, Math.min(b.left + b.width, b.left + (b.placed.x[j]! - b.eye.x) * b.eye.k)), bend = Math.max(20, (x1 - x0) / 2);
    c.globalAlpha = (quiet || a.eye.k < FAR) && !mine ? FAINT : 1;
    c.strokeStyle = mine ? theme.ring : quiet ? theme.edge : lookOf(kind, theme).fill;
    c.lineWidth = mine ? 3 : quiet ? 1 : 1.75;
    c.beginPath(); c.moveTo(x0, y0); c.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1); c.stroke();
    drawn++;
  }
  c.globalAlpha = 1;
  if (a.eye.k >= FAR) for (const pane of [a, b]) uncover(c, pane, height);
  return drawn;
}

/** Where many boxes share a line of the screen, the gravest link of it stands for all. */
function thinned(match: Match, links: Link[], a: Pane, b: Pane): Iterable<Link> {
  const kept = new Map<string, Link>(), rank = ({ id }: Link) => rankOf(match.a.kinds[id] ?? "equal");
  const line = ({ placed, eye }: Pane, i: number) => Math.round(((placed.y[i]! + placed.h[i]! / 2 - eye.y) * eye.k) / APART);
  for (const link of links) {
    const key = `${line(a, link.i)} ${line(b, link.j)}`, known = kept.get(key);
    if (!known || rank(link) < rank(known)) kept.set(key, link);
  }
  return kept.values();
}

/** Curves pass behind the boxes, so that no label is struck through. */
function uncover(c: CanvasRenderingContext2D, { placed, eye, left, width }: Pane, height: number): void {
  for (let i = 0; i < placed.id.length; i++) {
    const y = (placed.y[i]! - eye.y) * eye.k, tall = placed.h[i]! * eye.k;
    if (placed.open[i] || y > height || y + tall < 0) continue;
    const from = Math.max(left, left + (placed.x[i]! - eye.x) * eye.k), to = Math.min(left + width, left + (placed.x[i]! + placed.w[i]! - eye.x) * eye.k);
    if (to > from) c.clearRect(from, y, to - from, tall);
  }
}
