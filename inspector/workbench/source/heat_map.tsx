// Where does one map lie on its input? The map in colours over the picture, as opaque as wished.
import { useLayoutEffect, useRef } from "preact/hooks";
import { diverging, sequential } from "./theme";
import type { Tensor } from "./types";

const SIDE = 448, CLIP = 0.005;

/** The map (h, w): channels are summed. */
export function flat({ data, shape }: Tensor): { data: Float64Array; h: number; w: number } {
  const [h, w] = shape.slice(-2) as [number, number], made = new Float64Array(h * w);
  for (let i = 0; i < data.length; i++) made[i % (h * w)]! += data[i]!;
  return { data: made, h, w };
}

/** The ends of the scale, without the outermost half per cent at each end. */
export function ends(data: Float64Array): [number, number] {
  const sorted = data.filter(Number.isFinite).sort(), out = Math.floor(sorted.length * CLIP);
  return sorted.length ? [sorted[out]!, sorted[sorted.length - 1 - out]!] : [0, 0];
}

function coloured(map: Tensor): HTMLCanvasElement {
  const { data, h, w } = flat(map), [low, high] = ends(data), signed = low < 0, reach = Math.max(-low, high) || 1, made = document.createElement("canvas"), pixels = new ImageData(w, h);
  data.forEach((v, i) => pixels.data.set([...(signed ? diverging(v / reach) : sequential((v - low) / (high - low || 1))), Number.isFinite(v) ? 255 : 0], 4 * i));
  made.width = w; made.height = h;
  made.getContext("2d")!.putImageData(pixels, 0, 0);
  return made;
}

function photograph({ data, shape }: Tensor): HTMLCanvasElement {
  const [h, w] = shape as [number, number], made = document.createElement("canvas"), pixels = new ImageData(w, h);
  for (let i = 0; i < h * w; i++) pixels.data.set([data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!, 255], 4 * i);
  made.width = w; made.height = h;
  made.getContext("2d")!.putImageData(pixels, 0, 0);
  return made;
}

export function HeatMap({ map, picture, opacity, title }: { map: Tensor; picture: Tensor | null; opacity: number; title: string }) {
  const canvas = useRef<HTMLCanvasElement>(null), layers = useRef<{ map: HTMLCanvasElement; picture: HTMLCanvasElement | null } | null>(null);
  const [h, w] = (picture ? picture.shape : map.shape.slice(-2)) as [number, number], scale = SIDE / Math.max(h, w), high = Math.max(8, Math.round(h * scale)), wide = Math.max(8, Math.round(w * scale));
  useLayoutEffect(() => { layers.current = { map: coloured(map), picture: picture && photograph(picture) }; }, [map, picture]);
  useLayoutEffect(() => {
    const c = canvas.current!.getContext("2d")!, { map: heat, picture: under } = layers.current!;
    c.clearRect(0, 0, wide, high);
    c.imageSmoothingEnabled = under !== null;
    if (under) c.drawImage(under, 0, 0, wide, high);
    c.globalAlpha = under ? opacity : 1;
    c.drawImage(heat, 0, 0, wide, high);
    c.globalAlpha = 1;
  }, [map, picture, opacity]);
  return <canvas ref={canvas} class="heat" width={wide} height={high} role="img" aria-label={title} />;
}
