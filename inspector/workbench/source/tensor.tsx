// What is in one tensor? Statistics, histogram, pictures, a surface, and its numbers page by page.
import { useEffect, useState } from "preact/hooks";
import { AxesPicker } from "./axes_picker";
import { Histogram } from "./histogram";
import { number } from "./number";
import { Numbers } from "./numbers";
import { Live, type Ref, type Source } from "./source";
import { Surface } from "./surface";
import { MOST, Tiles } from "./tiles";
import type { Summary, Tensor } from "./types";

/** A ranking of all maps reads at most so many elements. */
const LARGEST = 1 << 24;
const SIDE = 512;

/** Pictures are the last two axes; up to `most` along the axes before them. */
function pictureIndex(shape: number[], most: number): string {
  let left = most;
  const parts = shape.slice(0, -2).map((size) => { const take = Math.max(1, Math.min(size, left)); left = Math.max(1, Math.floor(left / take)); return `0:${take}`; });
  return [...parts, `0:${SIDE}`, `0:${SIDE}`].slice(-shape.length).join(",");
}

export function TensorView({ source, at, dark }: { source: Source; at: Ref; dark: boolean }) {
  const [summary, setSummary] = useState<Summary | null>(null), [error, setError] = useState(""), [part, setPart] = useState<Tensor | null>(null), [tile, setTile] = useState(0);
  const [order, setOrder] = useState<number[]>([]), [ranked, setRanked] = useState(false), whole = [at.kind, at.id, at.key, at.minus ?? ""].join("\n");
  useEffect(() => {
    let current = true;
    setSummary(null); setError(""); setPart(null); setTile(0); setOrder([]);
    const begun = performance.now();
    source.summary(at).then(async (found) => {
      if (!current) return;
      setSummary(found);
      if (source.live && found.counts.length && found.shape.length > 1) {
        const data = await source.data(at, pictureIndex(found.shape, MOST));
        if (current) { setPart(data); document.body.dataset.value = (performance.now() - begun).toFixed(1); }
      }
    }).catch((fault) => { if (current) setError(String(fault.message)); });
    return () => { current = false; };
  }, [whole]);
  const axes = summary ? (order.length ? order : [...summary.shape.keys()]) : [], shape = axes.map((axis) => summary!.shape[axis]!);
  const laid: Ref = order.length ? { ...at, order: order.join(",") } : at, maps = shape.slice(0, -2).reduce((a, b) => a * b, 1), area = shape.slice(-2).reduce((a, b) => a * Math.min(b, SIDE), 1);
  const most = ranked && maps * area <= LARGEST ? maps : MOST;
  useEffect(() => {
    if (!part || !summary) return;
    let current = true;
    setTile(0);
    source.data(laid, pictureIndex(shape, most)).then((found) => current && setPart(found)).catch((fault) => current && setError(String(fault.message)));
    return () => { current = false; };
  }, [order, most]);
  if (error) return <p class="problem" role="alert">{error}</p>;
  if (!summary) return <p class="waiting" role="status">Reading …</p>;
  return <div class="tensor">
    <Histogram summary={summary} dark={dark} />
    <dl class="facts">{([["min", summary.min], ["max", summary.max], ["mean", summary.mean], ["std", summary.std]] as const).map(([name, v]) => <div key={name}><dt>{name}</dt><dd>{number(v)}</dd></div>)}
      <div><dt>zeros</dt><dd>{(summary.zeros * 100).toFixed(1)} %</dd></div>{summary.nan + summary.inf > 0 && <div><dt>NaN, Inf</dt><dd>{summary.nan}, {summary.inf}</dd></div>}</dl>
    {part && shape.length > 2 && <AxesPicker shape={summary.shape} order={axes} onChoose={setOrder} />}
    {part && <Tiles part={part} whole={shape} chosen={tile} onChoose={setTile} ranked={ranked} onRank={setRanked} />}
    {part && <Surface part={part} tile={tile} dark={dark} />}
    {source.live && summary.counts.length > 0 && <Numbers source={source as Live} at={laid} shape={shape} axes={axes} />}
  </div>;
}
