// What is in one tensor? Statistics, histogram, pictures, a surface, and its numbers page by page.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Attention } from "./attention";
import { AxesPicker } from "./axes_picker";
import { Curve } from "./curve";
import { Histogram } from "./histogram";
import { Numbers } from "./numbers";
import { Live, type Ref, type Source } from "./source";
import { Statistics } from "./statistics";
import { Surface } from "./surface";
import { Tiles } from "./tiles";
import type { Maps, Summary } from "./types";

interface Props { source: Source; at: Ref; dark: boolean; /** It holds attention weights, of these tokens. */ heads?: string[] | null }
const NONE: number[] = [];

export function TensorView({ source, at, dark, heads = null }: Props) {
  const [summary, setSummary] = useState<Summary | null>(null), [error, setError] = useState(""), [part, setPart] = useState<Maps | null>(null), [tile, setTile] = useState(0);
  const [order, setOrder] = useState(NONE), [ranked, setRanked] = useState(false), [begun, setBegun] = useState(0), whole = [at.kind, at.id, at.key, at.minus ?? ""].join("\n");
  const turn = useRef(0);
  /** Takes an answer unless something else was asked for meanwhile. */
  const take = <T,>(asked: Promise<T>, use: (found: T) => void) => { const mine = ++turn.current; asked.then((found) => { if (mine === turn.current) use(found); }).catch((fault) => { if (mine === turn.current) setError(String(fault.message)); }); };
  useLayoutEffect(() => {
    setSummary(null); setError(""); setPart(null); setTile(0); setOrder(NONE); setBegun(performance.now());
    take(source.look(at, ranked ? at.id : ""), (found) => { setSummary(found.summary); setPart(found.maps); setOrder(found.maps?.order ?? NONE); });
    return () => { turn.current++; };
  }, [whole]);
  useEffect(() => { if (part) document.body.dataset.value = (performance.now() - begun).toFixed(1); }, [part]);
  const again = (next: number[], strongest: boolean) => {
    setOrder(next); setRanked(strongest); setTile(0);
    take((source as Live).maps(next.length ? { ...at, order: next.join() } : at, strongest ? at.id : ""), setPart);
  };
  if (error) return <p class="problem" role="alert">{error}</p>;
  if (!summary) return <p class="waiting" role="status">Reading …</p>;
  const axes = order.length ? order : [...summary.shape.keys()], shape = axes.map((axis) => summary.shape[axis]!), size = shape.reduce((a, b) => a * b, 1), line = Math.max(1, ...shape) === size;
  const laid: Ref = order.some((axis, i) => axis !== i) ? { ...at, order: order.join() } : at, full = shape.length > 1 ? shape : [1, size];
  return <div class="tensor">
    <Histogram summary={summary} dark={dark} />
    <Statistics of={summary} />
    {part && shape.length > 2 && !line && <AxesPicker shape={summary.shape} order={axes} onChoose={(next) => again(next, ranked)} />}
    {part && line && size > 1 && <Curve {...{ part, size, dark }} />}
    {part && !line && (heads ? <Attention {...{ part, dark, ranked }} whole={full} tokens={heads} onRank={(on) => again(order, on)} />
      : <><Tiles {...{ part, dark, ranked }} whole={full} chosen={tile} onChoose={setTile} onRank={(on) => again(order, on)} /><Surface {...{ part, tile, dark }} /></>)}
    {source.live && summary.counts.length > 0 && <Numbers source={source as Live} at={laid} stored={at} shape={shape} axes={axes} />}
  </div>;
}
