// How high is a map at each place? A surface that can be turned, painted from back to front.
import { useEffect, useRef, useState } from "preact/hooks";
import { css, diverging, sequential } from "./theme";
import type { Tensor } from "./types";

const FINEST = 56, W = 380, H = 240;

export function Surface({ part, tile, dark }: { part: Tensor; tile: number; dark: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null), [turn, setTurn] = useState(0.6), [tilt, setTilt] = useState(0.9), [shown, setShown] = useState(false), grip = useRef<{ x: number; y: number } | null>(null);
  const [h, w] = part.shape.slice(-2) as [number, number];
  useEffect(() => {
    const c = canvas.current?.getContext("2d"); if (!c) return;
    const step = Math.max(1, Math.ceil(Math.max(h, w) / FINEST)), rows = Math.floor((h - 1) / step) + 1, columns = Math.floor((w - 1) / step) + 1, from = tile * h * w;
    const value = (r: number, k: number) => part.data[from + r * step * w + k * step]!;
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < h * w; i++) { low = Math.min(low, part.data[from + i]!); high = Math.max(high, part.data[from + i]!); }
    const reach = Math.max(-low, high) || 1, span = high - low || 1, size = 150 / Math.max(rows - 1, columns - 1, 1);
    const point = (r: number, k: number) => {
      const x = (k - (columns - 1) / 2) * size, y = (r - (rows - 1) / 2) * size, z = ((value(r, k) - low) / span - 0.5) * 90;
      const X = x * Math.cos(turn) - y * Math.sin(turn), Y = x * Math.sin(turn) + y * Math.cos(turn);
      return [W / 2 + X * 1.5, H / 2 + Y * Math.cos(tilt) * 1.3 - z * Math.sin(tilt), Y] as const;
    };
    const faces: { depth: number; at: (readonly [number, number, number])[]; v: number }[] = [];
    for (let r = 0; r + 1 < rows; r++) for (let k = 0; k + 1 < columns; k++) {
      const at = [point(r, k), point(r, k + 1), point(r + 1, k + 1), point(r + 1, k)];
      faces.push({ at, depth: at.reduce((sum, p) => sum + p[2], 0), v: value(r, k) });
    }
    faces.sort((a, b) => a.depth - b.depth);
    c.setTransform(2, 0, 0, 2, 0, 0); c.clearRect(0, 0, W, H); c.lineWidth = 0.4; c.strokeStyle = dark ? "#0b0f14" : "#5b6674";
    for (const face of faces) {
      c.fillStyle = css(low < 0 ? diverging(face.v / reach) : sequential((face.v - low) / span));
      c.beginPath(); face.at.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y))); c.closePath(); c.fill(); c.stroke();
    }
  }, [part, tile, turn, tilt, dark, shown]);
  if (h < 3 || w < 3) return null;
  return <details class="surface" onToggle={(e) => setShown(e.currentTarget.open)}><summary>Surface of map {tile}; drag to turn</summary>
    {shown && <canvas ref={canvas} width={2 * W} height={2 * H} aria-label="Surface of the chosen map" role="img" onPointerDown={(e) => { grip.current = { x: e.clientX, y: e.clientY }; canvas.current!.setPointerCapture(e.pointerId); }} onPointerUp={() => { grip.current = null; }}
      onPointerMove={(e) => { if (!grip.current) return; setTurn(turn + (e.clientX - grip.current.x) / 120); setTilt(Math.max(0.1, Math.min(1.5, tilt + (e.clientY - grip.current.y) / 120))); grip.current = { x: e.clientX, y: e.clientY }; }} />}
  </details>;
}
