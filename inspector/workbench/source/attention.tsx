// Which token looks at which? One matrix a head, and the row of a chosen query, over the picture where it has patches.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { number } from "./number";
import { boundsOf, paintMaps, scaleOf } from "./pixels";
import { readTheme } from "./theme";
import { Tiles } from "./tiles";
import type { Maps } from "./types";

const ROOM = 384, LEFT = 34, ABOVE = 18, ROW = 74, GRID = 96;
interface Props { part: Maps; whole: number[]; dark: boolean; /** Texts of the tokens, or [] where only their numbers are known. */ tokens: string[]; ranked: boolean; onRank(ranked: boolean): void }

export function Attention({ part, whole, dark, tokens, ranked, onRank }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null), [head, setHead] = useState(0), [query, setQuery] = useState(0), [key, setKey] = useState(-1);
  const [, h, w] = part.shape as [number, number, number], side = ROOM - LEFT, tall = Math.min(side, Math.max(40, Math.round((side * h) / w))), from = head * h * w, scale = scaleOf(part.data, from, from + h * w);
  const row = part.data.subarray(from + query * w, from + (query + 1) * w), peak = Math.max(...row) || 1, least = boundsOf(scaleOf(row))[0];
  // A class token may come first; the rest are patches of a square picture. Words make no picture.
  const grid = tokens.length ? null : [0, 1].map((skip) => ({ skip, n: Math.sqrt(w - skip) })).find(({ n }) => Number.isInteger(n) && n > 2) ?? null, foot = ABOVE + tall + 22, height = foot + (grid ? GRID + 18 : ROW + 18);
  const name = (i: number) => (tokens[i] ? `${i} “${tokens[i]}”` : `${i}${grid?.skip && i === 0 ? " (class token)" : ""}`);
  useLayoutEffect(() => {
    const c = canvas.current?.getContext("2d"), theme = readTheme();
    if (!c) return;
    c.setTransform(2, 0, 0, 2, 0, 0); c.clearRect(0, 0, ROOM, height); c.imageSmoothingEnabled = false;
    c.drawImage(paintMaps({ ...part, data: part.data.subarray(from, from + h * w), shape: [1, h, w] }, 1, () => scale), LEFT, ABOVE, side, tall);
    c.font = "10px system-ui, sans-serif"; c.fillStyle = theme.faint; c.textBaseline = "middle";
    const room = (count: number, length: number) => Math.max(1, Math.ceil((count * 26) / length));
    for (let k = 0; k < w; k += room(w, side)) { c.textAlign = "center"; c.fillText(tokens[k]?.slice(0, 5) ?? String(k), LEFT + ((k + 0.5) * side) / w, ABOVE - 8); }
    for (let q = 0; q < h; q += Math.max(1, Math.ceil((h * 12) / tall))) { c.textAlign = "right"; c.fillText(tokens[q]?.slice(0, 5) ?? String(q), LEFT - 4, ABOVE + ((q + 0.5) * tall) / h); }
    c.strokeStyle = "#d9480f"; c.lineWidth = 1.5; c.strokeRect(LEFT, ABOVE + (query * tall) / h - 0.5, side, Math.max(3, tall / h) + 1);
    if (key >= 0) c.strokeRect(LEFT + (key * side) / w - 0.5, ABOVE + (query * tall) / h - 0.5, Math.max(3, side / w) + 1, Math.max(3, tall / h) + 1);
    c.textAlign = "left"; c.fillStyle = theme.text; c.fillText(`query token ${name(query)} looks at`, LEFT, foot - 8);
    if (grid) c.drawImage(paintMaps({ ...part, data: row.subarray(grid.skip), shape: [1, grid.n, grid.n] }, 1, () => ({ low: least, high: peak })), LEFT, foot + 4, GRID, GRID);
    else row.forEach((v: number, k: number) => { c.fillStyle = k === key ? "#d9480f" : "#4c8dbd"; c.fillRect(LEFT + (k * side) / w, foot + 4 + ROW * (1 - v / peak), Math.max(0.6, side / w - 0.6), (ROW * v) / peak); });
    if (grid) { const best = [...row.keys()].sort((a, b) => row[b]! - row[a]!).slice(0, 5); c.fillStyle = theme.faint; best.forEach((k, i) => c.fillText(`${number(row[k]!)}  key token ${name(k)}`, LEFT + GRID + 16, foot + 14 + 17 * i)); }
  }, [part, head, query, key, dark, tokens]);
  const hover = (e: MouseEvent) => {
    const { left, top, width } = canvas.current!.getBoundingClientRect(), zoom = ROOM / width, x = (e.clientX - left) * zoom - LEFT, y = (e.clientY - top) * zoom - ABOVE;
    setKey(x < 0 || x >= side ? -1 : Math.floor((x / side) * w));
    if (y >= 0 && y < tall) setQuery(Math.floor((y / tall) * h));
  };
  const keys = (e: KeyboardEvent) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[e.key], across = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (by) setQuery(Math.max(0, Math.min(h - 1, query + by)));
    if (across) setKey(Math.max(0, Math.min(w - 1, key + across)));
    if (by || across) e.preventDefault();
  };
  const said = `Head ${part.maps[head]}, query token ${name(query)}${key >= 0 ? ` → key token ${name(key)}: ${number(row[key]!)}` : ""}`;
  return <section class="attention" aria-label="Attention heads">
    <Tiles {...{ part, whole, dark, ranked, onRank }} noun="head" chosen={head} onChoose={setHead} />
    <p class="said" role="status">{said}</p>
    <canvas ref={canvas} width={2 * ROOM} height={2 * height} style={{ width: `${ROOM}px` }} tabIndex={0} role="img" aria-label={`Head ${part.maps[head]}: ${h} queries down, ${w} keys across`} onMouseMove={hover} onMouseLeave={() => setKey(-1)} onKeyDown={keys} />
    <p class="hint">Rows are queries, columns keys; dark is {number(boundsOf(scale)[0])}, bright {number(scale.high)}. Point at a row, or walk with arrow keys.</p>
  </section>;
}
