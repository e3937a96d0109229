// How does a drawing of thousands of boxes pan smoothly when all of it is seen? Painted once for a zoom, then only moved.
import type { Shades } from "./overlays";
import type { Marks, Painter, View } from "./painter";
import type { Theme } from "./theme";

const FAR = 0.12, MANY = 500, LARGEST = 8e6, LONGEST = 8192, MARGIN = 8;

/** Keeps the picture of one painter at one zoom with one set of marks. */
export class FarPicture {
  private canvas: HTMLCanvasElement | null = null;
  private key: unknown[] = [];

  /** Puts the picture where the view shows it; false where the drawing is near, small, or too large to be kept. */
  show(c: CanvasRenderingContext2D, painter: Painter, view: View, k: number, dpr: number, swell: number, theme: Theme, marks: Marks, shades: Shades | null): boolean {
    const { width, height, id } = painter.placed, across = k * swell * dpr, down = k * dpr, w = Math.ceil(width * across) + 2 * MARGIN, h = Math.ceil(height * down) + 2 * MARGIN;
    if (k >= FAR || id.length < MANY || w * h > LARGEST || Math.max(w, h) > LONGEST) { this.canvas = null; return false; }
    const key = [k, dpr, theme.page, marks.selected, marks.hover, marks.found, marks.near, marks.ways, shades];
    if (!this.canvas || key.some((part, i) => part !== this.key[i])) {
      this.canvas = document.createElement("canvas"); this.key = key;
      this.canvas.width = w; this.canvas.height = h;
      const own = this.canvas.getContext("2d")!;
      own.setTransform(across, 0, 0, down, MARGIN, MARGIN);
      painter.content(own, { x0: -Infinity, x1: Infinity, y0: -Infinity, y1: Infinity }, k, theme, marks, shades);
    }
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.drawImage(this.canvas, Math.round((-view.x0 * k + (width / 2) * k * (1 - swell)) * dpr) - MARGIN, Math.round(-view.y0 * down) - MARGIN);
    return true;
  }
}
