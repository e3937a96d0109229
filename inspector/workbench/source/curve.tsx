// How does a vector run? Its numbers from the first to the last, about a line of zero.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { number } from "./number";
import { scaleOf } from "./pixels";
import { readTheme } from "./theme";
import type { Maps } from "./types";

const H = 120, LEFT = 2, LOW = 102;

export function Curve({ part, size, dark, room: W = 384 }: { part: Maps; /** Elements of the whole vector. */ size: number; dark: boolean; /** Its width. */ room?: number }) {
  const canvas = useRef<HTMLCanvasElement>(null), [at, setAt] = useState(-1), count = part.data.length, step = Math.max(1, Math.ceil(size / Math.max(1, count)));
  const { low, high } = scaleOf(part.data), floor = Math.min(0, low), top = Math.max(0, high), span = top - floor || 1;
  const place = (i: number) => LEFT + ((i + 0.5) / count) * (W - 2 * LEFT), level = (v: number) => LOW - ((v - floor) / span) * (LOW - 6);
  useLayoutEffect(() => {
    const c = canvas.current?.getContext("2d"), theme = readTheme();
    if (!c || !count) return;
    c.setTransform(2, 0, 0, 2, 0, 0); c.clearRect(0, 0, W, H);
    c.strokeStyle = theme.faint; c.lineWidth = 1; c.setLineDash([3, 3]); c.beginPath(); c.moveTo(LEFT, level(0)); c.lineTo(W - LEFT, level(0)); c.stroke(); c.setLineDash([]);
    c.strokeStyle = c.fillStyle = "#4c8dbd"; c.beginPath();
    const wide = (W - 2 * LEFT) / count;
    part.data.forEach((v: number, i: number) => {
      if (!Number.isFinite(v)) return;
      if (wide >= 2) c.fillRect(place(i) - wide / 2, Math.min(level(0), level(v)), Math.max(1, wide - 0.6), Math.max(0.6, Math.abs(level(v) - level(0))));
      else { c.moveTo(place(i), level(i ? (part.data[i - 1] as number) : v)); c.lineTo(place(i), level(v)); }
    });
    c.stroke();
    if (at >= 0) { c.strokeStyle = "#d9480f"; c.beginPath(); c.moveTo(place(at), 4); c.lineTo(place(at), LOW); c.stroke(); }
    c.fillStyle = theme.faint; c.font = "11px system-ui, sans-serif"; c.textAlign = "left"; c.fillText("0", LEFT, 115); c.textAlign = "right"; c.fillText(String(size - 1), W - LEFT, 115);
  }, [part, dark, at]);
  const hover = (e: MouseEvent) => { const { left, width } = canvas.current!.getBoundingClientRect(); setAt(Math.max(0, Math.min(count - 1, Math.floor(((e.clientX - left) / width) * count)))); };
  const keys = (e: KeyboardEvent) => { const by = { ArrowLeft: -1, ArrowRight: 1 }[e.key]; if (by) { setAt(Math.max(0, Math.min(count - 1, at + by))); e.preventDefault(); } };
  return <figure class="curve"><canvas ref={canvas} width={2 * W} height={2 * H} style={{ width: `${W}px` }} tabIndex={0} role="img" aria-label={`Curve of ${size} numbers from ${number(low)} to ${number(high)}`} onMouseMove={hover} onMouseLeave={() => setAt(-1)} onKeyDown={keys} />
    <figcaption>{size.toLocaleString("en")} numbers from {number(low)} to {number(high)}{step > 1 ? `, every ${step}th drawn` : ""}{at >= 0 ? `; number ${at * step} is ${number(part.data[at]!)}` : ""}.</figcaption></figure>;
}
