// Which part of a tensor is fetched to be pictured, and how does it fall into maps?
import type { Tensor } from "./types";

const NUMBERS = 1 << 19, TALL = 128, WIDE = 1024;

/** The index of the first maps of a tensor, about half a million numbers. */
export function partOf(shape: number[]): string {
  if (!shape.length) return "";
  const [h, w] = sizeOf(shape), flat = isFlat(shape), lead = shape.slice(0, flat ? 0 : -2);
  let left = Math.max(1, Math.floor(NUMBERS / (Math.min(h, TALL) * Math.min(w, WIDE))));
  const parts = [...lead].reverse().map((size) => { const take = Math.max(1, Math.min(size, left)); left = Math.max(1, Math.floor(left / take)); return `0:${take}`; }).reverse();
  return flat ? shape.map((size) => `0:${Math.min(size, NUMBERS)}`).join() : [...parts, `0:${TALL}`, `0:${WIDE}`].slice(-shape.length).join();
}

/** Vectors, and stacks of single numbers. */
const isFlat = (shape: number[]) => shape.length < 2 || (shape.at(-1) === 1 && shape.at(-2) === 1);
const sizeOf = (shape: number[]): [number, number] => [shape.length > 1 ? shape.at(-2)! : 1, shape.at(-1) ?? 1];

/** Height, width and number of the maps in a part; what is flat is one row. */
export function mapsOf({ data, shape }: Tensor): { h: number; w: number; count: number } {
  const [h, w] = isFlat(shape) ? [1, data.length] : sizeOf(shape);
  return { h, w, count: Math.floor(data.length / Math.max(1, h * w)) };
}
