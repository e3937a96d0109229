// Where in the whole am I? The drawing squeezed into a strip, with a bracket around what is in view.
import { useEffect, useRef } from "preact/hooks";
import type { Shades } from "./overlays";
import type { Eye, Painter } from "./painter";
import { readTheme } from "./theme";

/** Its width; the drawing behind it is not seen. */
export const STRIP = 64;
const EDGE = 6;
interface Props { painter: Painter; eye: Eye; moved: number; dark: boolean; shades: Shades | null; width: number; height: number; /** `x` is null where all of the width is in view. */ onJump(x: number | null, y: number): void }

export function Strip({ painter, eye, moved, dark, shades, width, height, onJump }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null), whole = useRef<HTMLCanvasElement | null>(null);
  const scale = height / Math.max(painter.placed.height, 1), across = (STRIP - 2 * EDGE) / Math.max(painter.placed.width, 1), seen = (width - STRIP) / eye.k, wide = painter.placed.width > 1.2 * seen;
  useEffect(() => {
    const made = document.createElement("canvas"), p = painter.placed, c = made.getContext("2d")!, theme = readTheme();
    made.width = STRIP; made.height = Math.max(1, height);
    p.id.forEach((id, i) => {
      if (p.open[i]) return;
      c.fillStyle = painter.look(id, theme, shades).fill;
      if (c.fillStyle === "#ffffff") c.fillStyle = theme.rim;
      c.fillRect(EDGE + p.x[i]! * across, p.y[i]! * scale, Math.max(2, p.w[i]! * across), Math.max(1, p.h[i]! * scale - 0.5));
    });
    whole.current = made;
  }, [painter, dark, shades, height]);
  useEffect(() => {
    const c = canvas.current!.getContext("2d")!, theme = readTheme();
    c.clearRect(0, 0, STRIP, height);
    if (whole.current) c.drawImage(whole.current, 0, 0);
    c.strokeStyle = theme.ring; c.lineWidth = 2;
    const left = wide ? Math.max(1, Math.min(STRIP - 8, EDGE + eye.x * across)) : 1, right = wide ? Math.min(STRIP - 1, EDGE + (eye.x + seen) * across) : STRIP - 1;
    c.strokeRect(left, Math.max(1, eye.y * scale), Math.max(6, right - left), Math.max(6, Math.min(height - 2, (height / eye.k) * scale)));
  }, [painter, moved, dark, shades, width, height]);
  const jump = (e: PointerEvent) => onJump(wide ? (e.offsetX - EDGE) / across - seen / 2 : null, e.offsetY / scale - height / eye.k / 2);
  return <canvas ref={canvas} class="strip" width={STRIP} height={Math.max(1, height)} aria-hidden="true"
    onPointerDown={(e) => { canvas.current!.setPointerCapture(e.pointerId); jump(e); }} onPointerMove={(e) => { if (e.buttons) jump(e); }} />;
}
