// Where in the whole am I? The drawing squeezed into a strip, with a bracket around what is in view.
import { useEffect, useRef } from "preact/hooks";
import type { Shades } from "./overlays";
import type { Eye, Painter } from "./painter";
import { readTheme } from "./theme";

/** Its width; the drawing behind it is not seen. */
export const STRIP = 64;
interface Props { painter: Painter; eye: Eye; moved: number; dark: boolean; shades: Shades | null; height: number; onJump(y: number): void }

export function Strip({ painter, eye, moved, dark, shades, height, onJump }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null), whole = useRef<HTMLCanvasElement | null>(null);
  const scale = height / Math.max(painter.placed.height, 1);
  useEffect(() => {
    const made = document.createElement("canvas"), p = painter.placed, c = made.getContext("2d")!, theme = readTheme();
    made.width = STRIP; made.height = Math.max(1, height);
    const across = (STRIP - 12) / Math.max(p.width, 1);
    p.id.forEach((id, i) => {
      if (p.open[i]) return;
      c.fillStyle = painter.look(id, theme, shades).fill;
      if (c.fillStyle === "#ffffff") c.fillStyle = theme.rim;
      c.fillRect(6 + p.x[i]! * across, p.y[i]! * scale, Math.max(2, p.w[i]! * across), Math.max(1, p.h[i]! * scale - 0.5));
    });
    whole.current = made;
  }, [painter, dark, shades, height]);
  useEffect(() => {
    const c = canvas.current!.getContext("2d")!, theme = readTheme();
    c.clearRect(0, 0, STRIP, height);
    if (whole.current) c.drawImage(whole.current, 0, 0);
    c.strokeStyle = theme.ring; c.lineWidth = 2;
    c.strokeRect(1, Math.max(1, eye.y * scale), STRIP - 2, Math.max(6, Math.min(height - 2, (height / eye.k) * scale)));
  }, [painter, moved, dark, shades, height]);
  const jump = (e: PointerEvent) => onJump((e.offsetY / scale) - height / eye.k / 2);
  return <canvas ref={canvas} class="strip" width={STRIP} height={Math.max(1, height)} aria-hidden="true"
    onPointerDown={(e) => { canvas.current!.setPointerCapture(e.pointerId); jump(e); }} onPointerMove={(e) => { if (e.buttons) jump(e); }} />;
}
