// How are the numbers of two tensors spread? Both over one axis, A filled and B as a line.
import { useEffect, useRef } from "preact/hooks";
import { readTheme } from "./theme";
import { number } from "./number";
import type { Summary } from "./types";

const W = 360, H = 120, BASE = 92, PAD = 4, A = "#4c8dbd", B = "#d9480f";

export function CompareHistogram({ a, b, dark }: { a: Summary | null; b: Summary | null; dark: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null), shown = [a, b].filter((one): one is Summary => Boolean(one?.counts.length));
  const low = Math.min(...shown.map((one) => one.min!)), top = Math.max(...shown.map((one) => one.max!)), high = top > low ? top : low + 1;
  useEffect(() => {
    const c = canvas.current?.getContext("2d");
    if (!c) return;
    const theme = readTheme(), x = (v: number) => PAD + ((v - low) / (high - low)) * (W - 2 * PAD);
    const steps = (one: Summary) => {
      const end = one.max! > one.min! ? one.max! : one.min! + 1, wide = (end - one.min!) / one.counts.length, all = one.counts.reduce((sum, n) => sum + n, 0);
      return one.counts.map((n, i) => ({ from: one.min! + i * wide, to: one.min! + (i + 1) * wide, height: n / (all * wide) }));
    };
    const bars = [a, b].map((one) => (one?.counts.length ? steps(one) : [])), most = Math.max(...bars.flat().map((bar) => bar.height));
    const y = (height: number) => BASE - (height / most) * 84;
    c.setTransform(2, 0, 0, 2, 0, 0); c.clearRect(0, 0, W, H);
    c.fillStyle = A;
    for (const bar of bars[0]!) c.fillRect(x(bar.from), y(bar.height), Math.max(0.5, x(bar.to) - x(bar.from)), BASE - y(bar.height));
    c.strokeStyle = B; c.lineWidth = 1.5; c.beginPath();
    bars[1]!.forEach((bar, i) => { if (!i) c.moveTo(x(bar.from), BASE); c.lineTo(x(bar.from), y(bar.height)); c.lineTo(x(bar.to), y(bar.height)); });
    c.stroke();
    c.strokeStyle = theme.faint; c.lineWidth = 1; c.beginPath(); c.moveTo(PAD, BASE + 0.5); c.lineTo(W - PAD, BASE + 0.5); c.stroke();
    if (low < 0 && high > 0) { c.setLineDash([3, 3]); c.beginPath(); c.moveTo(x(0), 6); c.lineTo(x(0), BASE); c.stroke(); c.setLineDash([]); }
    c.fillStyle = theme.faint; c.font = "11px system-ui, sans-serif";
    c.textAlign = "left"; c.fillText(number(low), PAD, 106); c.textAlign = "right"; c.fillText(number(high), W - PAD, 106);
    c.textAlign = "center"; c.fillText([a && "A filled", b && "B line"].filter(Boolean).join(", "), W / 2, 106);
  }, [a, b, dark]);
  if (!shown.length) return null;
  return <canvas ref={canvas} width={2 * W} height={2 * H} class="histogram" role="img" aria-label={`Distributions of A and B from ${number(low)} to ${number(high)}`} />;
}
