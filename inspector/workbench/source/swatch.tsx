// One colour of a legend.
import { useEffect, useRef } from "preact/hooks";

export function Swatch({ fill }: { fill: string }) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => { box.current!.style.background = fill; }, [fill]);
  return <i ref={box} class="swatch" />;
}
