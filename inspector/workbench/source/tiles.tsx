// What do the maps of a tensor look like? Its last two axes as pictures, on one scale or each on its own.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { number } from "./number";
import { diverging, sequential } from "./theme";
import type { Tensor } from "./types";

/** So many maps are shown. */
export const MOST = 64;
interface Props { part: Tensor; whole: number[]; chosen: number; onChoose(tile: number): void; /** Strongest first. */ ranked: boolean; onRank(ranked: boolean): void }

export function Tiles({ part, whole, chosen, onChoose, ranked, onRank }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null), [shared, setShared] = useState(true);
  const [h, w] = part.shape.slice(-2) as [number, number], area = h * w, held = Math.floor(part.data.length / Math.max(1, area)), count = Math.min(held, MOST);
  const total = whole.slice(0, -2).reduce((a, b) => a * b, 1);
  const mean = (t: number) => { let sum = 0; for (let i = 0; i < area; i++) sum += part.data[t * area + i]!; return sum / area; };
  const order = useMemo(() => {
    const all = Array.from({ length: held }, (_, i) => i);
    if (ranked) { const means = all.map(mean); all.sort((a, b) => means[b]! - means[a]!); }
    return all.slice(0, MOST);
  }, [part, ranked]);
  const columns = count === 1 ? 1 : Math.min(8, Math.ceil(Math.sqrt(count))), edge = count === 1 ? 360 : Math.floor(384 / columns) - 4;
  const tall = count === 1 ? Math.min(360, Math.max(8, Math.round((edge * h) / w))) : edge;
  useEffect(() => {
    const c = canvas.current!.getContext("2d")!, small = document.createElement("canvas");
    small.width = w; small.height = h;
    c.imageSmoothingEnabled = false; c.clearRect(0, 0, canvas.current!.width, canvas.current!.height);
    const range = (from: number, to: number) => { let low = Infinity, high = -Infinity; for (let i = from; i < to; i++) { const v = part.data[i]!; if (v < low) low = v; if (v > high) high = v; } return [low, high] as const; };
    const all = range(0, part.data.length);
    order.forEach((t, place) => {
      const [low, high] = shared ? all : range(t * area, (t + 1) * area), picture = new ImageData(w, h), reach = Math.max(-low, high) || 1;
      for (let i = 0; i < area; i++) {
        const v = part.data[t * area + i]!, colour = all[0] < 0 ? diverging(v / reach) : sequential((v - Math.min(0, low)) / (high - Math.min(0, low) || 1));
        picture.data.set([...colour, 255], 4 * i);
      }
      small.getContext("2d")!.putImageData(picture, 0, 0);
      const x = (place % columns) * (edge + 4), y = Math.floor(place / columns) * (tall + 4);
      c.drawImage(small, x, y, edge, tall);
      if (t === chosen && count > 1) { c.strokeStyle = "#d9480f"; c.lineWidth = 2; c.strokeRect(x + 1, y + 1, edge - 2, tall - 2); }
    });
  }, [part, shared, chosen, ranked]);
  if (!count) return null;
  const pick = (e: MouseEvent) => { const place = Math.floor(e.offsetY / (tall + 4)) * columns + Math.floor(e.offsetX / (edge + 4)); if (order[place] !== undefined) onChoose(order[place]!); };
  return <figure class="tiles">
    <canvas ref={canvas} width={columns * (edge + 4)} height={Math.ceil(count / columns) * (tall + 4)} onClick={pick} role="img" aria-label={`${count} of ${total} maps of ${h} × ${w}`} />
    <figcaption>{count} of {total} {total === 1 ? "map" : "maps"} of {h} × {w}{count > 1 ? `, ${shared ? "one scale" : "each its own scale"}; number ${chosen}, mean ${number(mean(chosen))}` : ""}
      {count > 1 && <span class="options"><label><input type="checkbox" checked={shared} onChange={() => setShared(!shared)} /> one scale</label><label><input type="checkbox" checked={ranked} onChange={() => onRank(!ranked)} /> strongest first</label></span>}</figcaption>
  </figure>;
}
