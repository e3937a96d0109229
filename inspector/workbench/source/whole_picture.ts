// How does the whole drawing leave the page as pixels? Painted once more at reading size, off the screen.
import type { Shades } from "./overlays";
import type { Painter } from "./painter";
import type { Theme } from "./theme";

const MARGIN = 20, LONGEST = 16_000, LARGEST = 120e6;

/** Throws a sentence where a browser could not hold the picture; it is never made smaller than it is read. */
export function wholePicture(painter: Painter, theme: Theme, shades: Shades | null): Promise<Blob> {
  const w = Math.ceil(painter.placed.width + 2 * MARGIN), h = Math.ceil(painter.placed.height + 2 * MARGIN), canvas = document.createElement("canvas");
  if (Math.max(w, h) > LONGEST || w * h > LARGEST) throw new Error(`The drawing has ${w.toLocaleString("en")} × ${h.toLocaleString("en")} pixels, too many for a picture. Close some blocks, or save it as SVG.`);
  canvas.width = w; canvas.height = h;
  painter.paint(canvas.getContext("2d")!, w, h, 1, { x: -MARGIN, y: -MARGIN, k: 1 }, theme, { selected: -1, hover: -1, found: new Set(), near: new Set(), ways: [] }, shades);
  return new Promise((done, fail) => canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("The browser could not make the picture; save it as SVG.")))));
}
