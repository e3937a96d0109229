// What do the maps of a tensor look like? Numbered tiles, on one scale or each on its own; arrows walk along them.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { number } from "./number";
import { boundsOf, paintMaps, scaleOf, type Scale } from "./pixels";
import { readTheme } from "./theme";
import type { Maps } from "./types";

const ROOM = 388, ALONE = 360, NAME = 12, GAP = 4;
interface Props {
  part: Maps; whole: number[]; dark: boolean; /** Place of the chosen map among those shown. */ chosen: number; onChoose(place: number): void;
  /** Strongest first. */ ranked: boolean; onRank?(ranked: boolean): void; /** What one map is called. */ noun?: string;
  /** A scale common to more than this tensor. */ common?: Scale; /** Width of the sheet. */ room?: number;
}

export function Tiles({ part, whole, dark, chosen, onChoose, ranked, onRank, noun = "map", common, room = ROOM }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null), [shared, setShared] = useState(true);
  const [count, h, w] = part.shape as [number, number, number], area = h * w, total = whole.slice(0, -2).reduce((a, b) => a * b, 1), [rows, wide] = whole.slice(-2) as [number, number];
  const columns = count === 1 ? 1 : Math.min(8, Math.floor(room / 46), Math.ceil(Math.sqrt(count))), most = count === 1 ? Math.min(room, ALONE) : Math.floor(room / columns) - GAP;
  const edge = Math.max(1, Math.min(most, Math.round(h > w * 2 ? (most * 2 * w) / h : most))), tall = Math.max(count === 1 ? 8 : 4, Math.min(most * (count === 1 ? 1 : 1.5), Math.round((edge * h) / w)));
  const line = tall + GAP + (count > 1 ? NAME : 0), height = Math.ceil(count / columns) * line, all = common ?? scaleOf(part.data), one = Boolean(common) || shared;
  useLayoutEffect(() => {
    const c = canvas.current?.getContext("2d"), theme = readTheme();
    if (!c || !area) return;
    c.setTransform(2, 0, 0, 2, 0, 0); c.imageSmoothingEnabled = Math.max(h / tall, w / edge) > 2; c.clearRect(0, 0, room, height);
    c.font = "10px system-ui, sans-serif"; c.textAlign = "center"; c.textBaseline = "middle"; c.fillStyle = theme.faint;
    const own = (place: number) => { const found = one ? all : scaleOf(part.data, place * area, (place + 1) * area); return all.low < 0 ? { ...found, low: Math.min(found.low, -Number.MIN_VALUE) } : found; };
    const maps = paintMaps(part, columns, own);
    for (let place = 0; place < count; place++) {
      const x = (place % columns) * (most + GAP) + (most - edge) / 2, y = Math.floor(place / columns) * line;
      c.drawImage(maps, (place % columns) * w, Math.floor(place / columns) * h, w, h, x, y, edge, tall);
      if (count > 1) c.fillText(String(part.maps[place]), x + edge / 2, y + tall + NAME / 2 + 1);
      if (place === chosen && count > 1) { c.strokeStyle = "#d9480f"; c.lineWidth = 2; c.strokeRect(x + 1, y + 1, edge - 2, tall - 2); }
    }
  }, [part, shared, chosen, common, dark, room]);
  if (!count || !area) return <p class="hint">The tensor is empty: {whole.join(" × ")}.</p>;
  const go = (place: number) => { if (place >= 0 && place < count) onChoose(place); };
  const pick = (e: MouseEvent) => { const { left, top, width } = canvas.current!.getBoundingClientRect(), zoom = (columns * (most + GAP)) / width, column = Math.floor(((e.clientX - left) * zoom) / (most + GAP)); if (column < columns) go(Math.floor(((e.clientY - top) * zoom) / line) * columns + column); };
  const keys = (e: KeyboardEvent) => { const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[e.key]; if (by && count > 1) { go(chosen + by); e.preventDefault(); } };
  let sum = 0;
  for (let i = chosen * area; i < (chosen + 1) * area; i++) sum += part.data[i]!;
  const [low, high] = boundsOf(one ? all : scaleOf(part.data, chosen * area, (chosen + 1) * area)), scale = `${low < 0 ? "blue" : "dark"} ${number(low)}, ${low < 0 ? "red" : "bright"} ${number(high)}`;
  return <figure class="tiles">
    <canvas ref={canvas} width={2 * columns * (most + GAP)} height={2 * height} style={{ width: `${columns * (most + GAP)}px` }} tabIndex={count > 1 ? 0 : undefined} onClick={pick} onKeyDown={keys} role="img" aria-label={`${count} of ${total} maps of ${rows} × ${wide}, ${noun} ${part.maps[chosen]} chosen`} />
    <figcaption>{count.toLocaleString("en")} of {total.toLocaleString("en")} {total === 1 ? "map" : "maps"} of {rows} × {wide}{h < rows || w < wide ? `, the first ${h} × ${w} of each` : ""}{ranked ? ", by mean square" : ""}. {one || count === 1 ? scale : `Each on its own scale, here ${scale}`}.
      {count > 1 && <> {noun[0]!.toUpperCase() + noun.slice(1)} {part.maps[chosen]}: mean {number(sum / area)}.</>}
      {count > 1 && onRank && <span class="options"><label><input type="checkbox" checked={shared} onChange={() => setShared(!shared)} /> one scale</label><label><input type="checkbox" checked={ranked} onChange={() => onRank(!ranked)} /> strongest first</label></span>}</figcaption>
  </figure>;
}
