// How does the whole drawing leave the page? As an SVG without scripts or outside references, in light colours.
import { blockTitle, type Painter } from "./painter";
import type { Shades } from "./overlays";
import { PORTAL } from "./layout";
import { labelsOf } from "./shapes";
import type { Theme } from "./theme";

const safe = (text: string) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

export function toSvg(painter: Painter, theme: Theme, shades: Shades | null): string {
  const { placed, graph } = painter, out: string[] = [], items = graph.items.length;
  const w = Math.ceil(placed.width + 40), h = Math.ceil(placed.height + 40);
  out.push(`<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="-20 -20 ${w} ${h}" font-family="Arial, Helvetica, sans-serif" font-size="12">`,
    `<rect x="-20" y="-20" width="${w}" height="${h}" fill="${theme.page}"/>`);
  const rect = (i: number, fill: string, stroke: string, r: number) =>
    out.push(`<rect x="${placed.x[i]!.toFixed(1)}" y="${placed.y[i]!.toFixed(1)}" width="${placed.w[i]!.toFixed(1)}" height="${placed.h[i]!.toFixed(1)}" rx="${r}" fill="${fill}" stroke="${stroke}"/>`);
  placed.id.forEach((id, i) => { if (placed.open[i]) rect(i, theme.tints[Math.min(4, graph.depth[id - items]!)]!, theme.rim, 8); });
  for (let e = 0; e < placed.from.length; e++) {
    if (placed.kind[e] === PORTAL) continue;
    let path = "";
    for (let p = placed.starts[e]!; p < placed.starts[e + 1]!; p++) {
      const x = placed.points[2 * p]!, y = placed.points[2 * p + 1]!;
      if (!path) { path = `M${x.toFixed(1)} ${y.toFixed(1)}`; continue; }
      const x0 = placed.points[2 * p - 2]!, y0 = placed.points[2 * p - 1]!, bend = (y - y0) / 2;
      path += `C${x0.toFixed(1)} ${(y0 + bend).toFixed(1)} ${x.toFixed(1)} ${(y - bend).toFixed(1)} ${x.toFixed(1)} ${y.toFixed(1)}`;
    }
    out.push(`<path d="${path}" fill="none" stroke="${theme.edge}" stroke-width="1.25"/>`);
  }
  for (const label of labelsOf(graph, placed)) if (label) out.push(`<text x="${label.x.toFixed(1)}" y="${(label.y + 3.5).toFixed(1)}" font-size="10" fill="${theme.faint}">${safe(label.text)}</text>`);
  placed.id.forEach((id, i) => {
    if (placed.open[i]) { out.push(`<text x="${placed.x[i]! + 8}" y="${placed.y[i]! + 15}" fill="${theme.text}" font-weight="600">${safe(blockTitle(graph, id - items))}</text>`); return; }
    const look = painter.look(id, theme, shades);
    rect(i, look.fill, look.border, id >= items ? 8 : 5);
    const label = id >= items ? blockTitle(graph, id - items) : graph.items[id]!.label;
    out.push(`<text x="${placed.x[i]! + placed.w[i]! / 2}" y="${placed.y[i]! + placed.h[i]! / 2 + 4}" text-anchor="middle" fill="${look.text}">${safe(label)}</text>`);
  });
  return out.join("\n") + "\n</svg>\n";
}
