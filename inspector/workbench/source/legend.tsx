// What do the colours mean? Operator families, or a scale with its ends and its unit.
import { useEffect, useRef } from "preact/hooks";
import { plain, type Graph } from "./graph";
import type { Shading } from "./overlays";
import { rangeOf, short, type Painter } from "./painter";
import { Progress } from "./progress";
import { Swatch } from "./swatch";
import { number } from "./number";
import { css, familyLook, readTheme, sequential } from "./theme";

const WIDE = 160;
const spelled = (amount: number, unit: string) => (unit === "bytes" ? short(amount) + "B" : amount >= 1000 ? short(amount) : number(amount));

export function Legend({ graph, shading, painter, overlay }: { graph: Graph; shading: Shading; painter: Painter | null; overlay: string }) {
  const bar = useRef<HTMLCanvasElement>(null), { shades, job, error } = shading;
  useEffect(() => {
    const c = bar.current?.getContext("2d");
    if (c) for (let x = 0; x < WIDE; x++) { c.fillStyle = css(sequential(x / (WIDE - 1))); c.fillRect(x, 0, 1, 10); }
  }, [shades, job, painter]);
  if (error) return <div class="legend problem" role="alert">{error}</div>;
  if (job) return <div class="legend"><Progress job={job} onStop={shading.stop} /></div>;
  if (shades && painter) {
    const { low, high } = rangeOf(shades, painter.placed), { row } = shades;
    return <div class="legend" title={shades.notes.map(plain).join("\n")}><b>{row.title}</b><span>{spelled(low, row.unit)}</span><canvas ref={bar} width={WIDE} height={10} role="img" aria-label="Colour scale" /><span>{spelled(high, row.unit)}</span>
      <span>{row.unit}{row.scale === "log" ? ", logarithmic" : ""}; a block shows {row.block === "sum" ? "the sum" : "the largest"} inside</span></div>;
  }
  if (overlay !== "family") return null;
  const theme = readTheme(), used = new Set(graph.items.map((item) => item.family));
  return <div class="legend">{Object.values(graph.doc.families).filter((f) => used.has(f.name)).map((f) => <span key={f.name}><Swatch fill={familyLook(f, theme).fill} />{f.label}</span>)}</div>;
}
