// How are a tensor's numbers spread? Counts in bars, with the ends and zero marked.
import { useLayoutEffect, useRef } from "preact/hooks";
import { number } from "./number";
import { readTheme } from "./theme";
import type { Summary } from "./types";

export function Histogram({ summary, dark, room = 360 }: { summary: Summary; dark: boolean; /** Its width. */ room?: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const c = canvas.current?.getContext("2d"); if (!c || !summary.counts.length) return;
    const theme = readTheme(), w = room, h = 110, low = summary.min!, high = summary.max! > low ? summary.max! : low + 1, most = Math.max(...summary.counts);
    c.setTransform(2, 0, 0, 2, 0, 0); c.clearRect(0, 0, w, h);
    c.fillStyle = "#4c8dbd";
    summary.counts.forEach((n, i) => { const bar = (n / most) * 84; c.fillRect(4 + (i * (w - 8)) / 64, 92 - bar, (w - 8) / 64 - 0.6, bar); });
    c.strokeStyle = theme.faint; c.beginPath(); c.moveTo(4, 92.5); c.lineTo(w - 4, 92.5); c.stroke();
    if (low < 0 && high > 0) { const x = 4 + (-low / (high - low)) * (w - 8); c.setLineDash([3, 3]); c.beginPath(); c.moveTo(x, 6); c.lineTo(x, 92); c.stroke(); c.setLineDash([]); }
    c.fillStyle = theme.faint; c.font = "11px system-ui, sans-serif";
    c.textAlign = "left"; c.fillText(number(low), 4, 106); c.textAlign = "right"; c.fillText(number(high), w - 4, 106);
    c.textAlign = "center"; if (room >= 300) c.fillText(`highest bar ${most.toLocaleString("en")}${summary.sampled > 1 ? `, every ${summary.sampled}th element` : ""}`, w / 2, 106);
  }, [summary, dark]);
  return summary.counts.length ? <canvas ref={canvas} width={2 * room} height={220} style={{ width: `${room}px` }} class="histogram" role="img" aria-label={`Histogram from ${number(summary.min)} to ${number(summary.max)}`} /> : <p>No finite number.</p>;
}
