// Where do two tensors differ? Maps of A and of B in one scale, and of B − A in its own, the most changed first.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { mapsOf } from "./compare_parts";
import { diverging, readTheme, sequential } from "./theme";
import { number } from "./number";
import type { Tensor } from "./types";

const ROWS = 6, GAP = 6, LABEL = 34, ROOM = 384;
interface Props { a: Tensor | null; b: Tensor | null; moved: Tensor | null; whole: number[]; dark: boolean }

export function CompareMaps({ a, b, moved, whole, dark }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null), [ranked, setRanked] = useState(true), [page, setPage] = useState(0);
  const shown = ([["A", a], ["B", b], ["B − A", moved]] as const).filter((one): one is readonly ["A" | "B" | "B − A", Tensor] => one[1] !== null);
  const { h, w, count } = mapsOf(shown[0]![1]), area = h * w, total = Math.max(count, Math.round(whole.reduce((p, q) => p * q, 1) / Math.max(1, (whole.at(-2) ?? 1) * (whole.at(-1) ?? 1))));
  const order = useMemo(() => {
    const list = Array.from({ length: count }, (_, t) => t), by = moved ?? shown[0]![1];
    if (!ranked) return list;
    const power = list.map((t) => { let sum = 0; for (let i = t * area; i < (t + 1) * area; i++) sum += by.data[i]! ** 2; return sum; });
    return list.sort((p, q) => power[q]! - power[p]! || p - q);
  }, [a, b, moved, ranked]);
  useEffect(() => setPage(0), [a, b, moved, ranked]);
  const strips = w > 4 * h, across = strips ? 1 : shown.length, edge = Math.floor((ROOM - LABEL - GAP * (across - 1)) / across);
  const tall = strips ? Math.max(14, Math.min(60, Math.round((edge * h) / w))) : Math.min(edge, Math.max(10, Math.round((edge * h) / w))), wide = strips ? edge : Math.min(edge, Math.round((tall * w) / h));
  const lines = order.slice(page * ROWS, (page + 1) * ROWS), height = strips ? lines.length * shown.length * (tall + GAP) : 16 + lines.length * (tall + GAP);
  const both = useMemo(() => rangeOf([a, b]), [a, b]), change = useMemo(() => rangeOf([moved]), [moved]);
  useEffect(() => {
    const c = canvas.current?.getContext("2d"), theme = readTheme();
    if (!c || !area) return;
    const small = document.createElement("canvas");
    small.width = w; small.height = h;
    c.setTransform(2, 0, 0, 2, 0, 0); c.imageSmoothingEnabled = false; c.clearRect(0, 0, ROOM, height);
    c.font = "11px system-ui, sans-serif"; c.fillStyle = theme.faint; c.textBaseline = "middle";
    if (!strips) shown.forEach(([name], k) => c.fillText(name, LABEL + k * (edge + GAP), 7));
    lines.forEach((t, line) => shown.forEach(([name, part], k) => {
      const own = name === "B − A" ? change : both, reach = Math.max(-own.low, own.high) || 1, image = new ImageData(w, h);
      for (let i = 0; i < area; i++) {
        const v = part.data[t * area + i]!;
        image.data.set([...(own.low < 0 || name === "B − A" ? diverging(v / reach) : sequential(v / reach)), 255], 4 * i);
      }
      small.getContext("2d")!.putImageData(image, 0, 0);
      const x = strips ? LABEL : LABEL + k * (edge + GAP), y = strips ? (line * shown.length + k) * (tall + GAP) : 16 + line * (tall + GAP);
      c.drawImage(small, x, y, wide, tall);
      if (strips || !k) c.fillText(strips ? name : String(t), 0, y + tall / 2);
    }));
  }, [a, b, moved, order, page, dark]);
  if (!area || !count) return null;
  return <figure class="maps"><canvas ref={canvas} width={2 * ROOM} height={2 * Math.max(1, height)} role="img" aria-label={`Maps of ${shown.map(([name]) => name).join(", ")}`} />
    <figcaption>{count > 1 ? `maps ${page * ROWS + 1}–${Math.min(count, (page + 1) * ROWS)} of ${count.toLocaleString("en")}${total > count ? ` (the first of ${total.toLocaleString("en")})` : ""}, ` : ""}{h} × {w}; A and B from {number(both.low)} to {number(both.high)}{moved ? `, B − A from ${number(change.low)} to ${number(change.high)}` : ""}
      {count > 1 && <span class="options"><label><input type="checkbox" checked={ranked} onChange={() => setRanked(!ranked)} /> {moved ? "most changed first" : "strongest first"}</label>
        {count > ROWS && <><button disabled={!page} aria-label="Earlier maps" onClick={() => setPage(page - 1)}>‹</button><button disabled={(page + 1) * ROWS >= count} aria-label="Later maps" onClick={() => setPage(page + 1)}>›</button></>}</span>}</figcaption></figure>;
}

function rangeOf(parts: (Tensor | null)[]): { low: number; high: number } {
  let low = 0, high = 0;
  for (const part of parts) for (const v of part?.data ?? []) if (Number.isFinite(v)) { if (v < low) low = v; if (v > high) high = v; }
  return { low, high };
}
