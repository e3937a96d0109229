// How do numbers become pixels? Each gets one of 256 colours, between the ends of a stated scale.
import { diverging, sequential } from "./theme";
import type { Tensor } from "./types";

const table = (colour: (t: number) => number[]) => Uint32Array.from({ length: 256 }, (_, i) => { const [r, g, b] = colour(i / 255) as [number, number, number]; return (255 << 24) | (b << 16) | (g << 8) | r; });
const EVEN = table(sequential), SPLIT = table((t) => diverging(2 * t - 1)), LOST = 0xff808080;

export interface Scale { low: number; high: number }

/** Ends over the finite numbers from one place to another. */
export function scaleOf(data: ArrayLike<number>, from = 0, to = data.length): Scale {
  let low = Infinity, high = -Infinity;
  for (let i = from; i < to; i++) { const v = data[i]!; if (v < low && v > -Infinity) low = v; if (v > high && v < Infinity) high = v; }
  return low <= high ? { low, high } : { low: 0, high: 0 };
}

/** What the colours mean: both signs about zero, or from zero, or from the least where all lie far above zero. */
export function boundsOf({ low, high }: Scale): [number, number] {
  return low < 0 ? [-Math.max(-low, high), Math.max(-low, high)] : [low > high / 2 ? low : 0, high];
}

/** Maps of a stack in one canvas, so many in a row, each pixel a number; NaN and infinities are grey. */
export function paintMaps({ data, shape }: Tensor, columns: number, scale: (place: number) => Scale): HTMLCanvasElement {
  const [count, h, w] = shape as [number, number, number], made = document.createElement("canvas"), wide = columns * w;
  made.width = wide; made.height = Math.ceil(count / columns) * h;
  const c = made.getContext("2d")!, image = c.createImageData(wide, made.height), pixels = new Uint32Array(image.data.buffer);
  for (let place = 0, from = 0; place < count; place++) {
    const own = scale(place), colours = own.low < 0 ? SPLIT : EVEN, [low, high] = boundsOf(own), by = 255 / (high - low || 1);
    for (let r = 0, at = Math.floor(place / columns) * h * wide + (place % columns) * w; r < h; r++, at += wide) for (let k = 0; k < w; k++, from++) {
      const v = data[from]!;
      pixels[at + k] = Number.isFinite(v) ? colours[Math.max(0, Math.min(255, Math.round((v - low) * by)))]! : LOST;
    }
  }
  c.putImageData(image, 0, 0);
  return made;
}
