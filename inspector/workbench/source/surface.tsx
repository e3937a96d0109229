// How high is a map at each place? A surface, turned by the mouse or arrow keys, painted from back to front.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { number } from "./number";
import { scaleOf } from "./pixels";
import { css, diverging, readTheme, sequential } from "./theme";
import type { Maps } from "./types";

const FINEST = 56, W = 384, H = 250, LEAST = 0.1, MOST = 1.5, STEP = 0.1;

export function Surface({ part, tile, dark }: { part: Maps; /** Place of the map among those shown. */ tile: number; dark: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null), [turn, setTurn] = useState(0.6), [tilt, setTilt] = useState(0.9), [shown, setShown] = useState(false), grip = useRef<{ x: number; y: number } | null>(null);
  const [h, w] = part.shape.slice(-2) as [number, number], { low, high } = scaleOf(part.data, tile * h * w, (tile + 1) * h * w);
  useLayoutEffect(() => {
    const c = canvas.current?.getContext("2d"); if (!c) return;
    const step = Math.max(1, Math.ceil(Math.max(h, w) / FINEST)), rows = Math.floor((h - 1) / step) + 1, columns = Math.floor((w - 1) / step) + 1, from = tile * h * w, theme = readTheme();
    const value = (r: number, k: number) => { const v = part.data[from + r * step * w + k * step]!; return Number.isFinite(v) ? v : low; };
    const reach = Math.max(-low, high) || 1, span = high - low || 1, size = 160 / Math.max(rows - 1, columns - 1, 1);
    const place = (r: number, k: number, lift: number) => {
      const x = (k - (columns - 1) / 2) * size, y = (r - (rows - 1) / 2) * size, z = (lift - 0.5) * 90;
      const X = x * Math.cos(turn) - y * Math.sin(turn), Y = x * Math.sin(turn) + y * Math.cos(turn);
      return [W / 2 + X * 1.5, H / 2 + Y * Math.cos(tilt) * 1.3 - z * Math.sin(tilt), Y] as const;
    };
    const point = (r: number, k: number) => place(r, k, (value(r, k) - low) / span);
    const faces: { depth: number; at: (readonly [number, number, number])[]; v: number }[] = [];
    for (let r = 0; r + 1 < rows; r++) for (let k = 0; k + 1 < columns; k++) {
      const at = [point(r, k), point(r, k + 1), point(r + 1, k + 1), point(r + 1, k)];
      faces.push({ at, depth: at.reduce((sum, p) => sum + p[2], 0), v: value(r, k) });
    }
    faces.sort((a, b) => a.depth - b.depth);
    c.setTransform(2, 0, 0, 2, 0, 0); c.clearRect(0, 0, W, H); c.lineWidth = 0.4; c.strokeStyle = dark ? "#0b0f14" : "#5b6674";
    for (const face of faces) {
      c.fillStyle = css(low < 0 ? diverging(face.v / reach) : sequential(face.v / (high || 1)));
      c.beginPath(); face.at.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y))); c.closePath(); c.fill(); c.stroke();
    }
    c.fillStyle = theme.faint; c.font = "11px system-ui, sans-serif"; c.textAlign = "center";
    const corner = (name: string, r: number, k: number) => { const [x, y] = place(r * 1.04 - 0.02 * (rows - 1), k * 1.04 - 0.02 * (columns - 1), 0); c.fillText(name, Math.max(22, Math.min(W - 22, x)), Math.max(10, Math.min(H - 4, y + 10))); };
    corner("0, 0", 0, 0); corner(`${h - 1}, 0`, rows - 1, 0); corner(`0, ${w - 1}`, 0, columns - 1);
  }, [part, tile, turn, tilt, dark, shown]);
  if (h < 3 || w < 3) return null;
  const tilted = (by: number) => setTilt(Math.max(LEAST, Math.min(MOST, tilt + by)));
  const keys = (e: KeyboardEvent) => {
    const done = { ArrowLeft: () => setTurn(turn - STEP), ArrowRight: () => setTurn(turn + STEP), ArrowUp: () => tilted(-STEP), ArrowDown: () => tilted(STEP) }[e.key];
    if (done) { done(); e.preventDefault(); }
  };
  return <details class="surface" onToggle={(e) => setShown(e.currentTarget.open)}><summary>Surface of map {part.maps[tile]}</summary>
    {shown && <figure><canvas ref={canvas} width={2 * W} height={2 * H} tabIndex={0} aria-label={`Surface of map ${part.maps[tile]}, from ${number(low)} to ${number(high)}`} role="img" data-turn={turn.toFixed(2)} data-tilt={tilt.toFixed(2)} onKeyDown={keys}
      onPointerDown={(e) => { grip.current = { x: e.clientX, y: e.clientY }; canvas.current!.setPointerCapture(e.pointerId); }} onPointerUp={() => { grip.current = null; }}
      onPointerMove={(e) => { if (!grip.current) return; setTurn(turn + (e.clientX - grip.current.x) / 120); tilted((e.clientY - grip.current.y) / 120); grip.current = { x: e.clientX, y: e.clientY }; }} />
      <figcaption>From {number(low)} to {number(high)}; corners are row, column. Drag or arrow keys turn it.</figcaption></figure>}
  </details>;
}
