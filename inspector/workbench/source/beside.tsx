// What are two inputs' values of one kind, side by side? The same maps of both, on one scale or each on its own.
import { useEffect, useState } from "preact/hooks";
import { Curve } from "./curve";
import { Histogram } from "./histogram";
import { scaleOf } from "./pixels";
import type { Live, Ref } from "./source";
import { Statistics } from "./statistics";
import { Tiles } from "./tiles";
import type { Maps, Summary } from "./types";

const HALF = 190;
type Look = { summary: Summary; maps: Maps | null };
interface Props { live: Live; one: Ref; other: Ref; dark: boolean }

export function Beside({ live, one, other, dark }: Props) {
  const [got, setGot] = useState<{ of: string; looks: [Look, Look] } | null>(null), [error, setError] = useState(""), [ranked, setRanked] = useState(false), [same, setSame] = useState(true), [tile, setTile] = useState(0);
  const of = [one.id, other.id, one.key].join("\n");
  useEffect(() => {
    let on = true;
    const by = ranked ? one.id : "";
    setError(""); setTile(0);
    Promise.all([live.look(one, by), live.look(other, by)]).then((looks) => on && setGot({ of, looks })).catch((fault) => on && setError(fault.message));
    return () => { on = false; };
  }, [of, ranked]);
  if (error) return <p class="problem" role="alert">{error}</p>;
  if (got?.of !== of) return <p class="waiting" role="status">Reading …</p>;
  const { looks } = got, ends = looks.map(({ maps }) => scaleOf(maps?.data ?? [])), common = same ? { low: Math.min(ends[0]!.low, ends[1]!.low), high: Math.max(ends[0]!.high, ends[1]!.high) } : undefined;
  return <section class="beside-inputs"><div class="two">{looks.map(({ summary, maps }, i) => {
    const size = summary.shape.reduce((a, b) => a * b, 1), line = Math.max(1, ...summary.shape) === size;
    return <div key={i}><h4>{i ? "The other input" : "This input"}</h4><Histogram summary={summary} dark={dark} room={HALF} /><Statistics of={summary} />
      {maps && (line ? size > 1 && <Curve part={maps} {...{ size, dark }} room={HALF} /> : <Tiles part={maps} whole={maps.order.map((axis) => summary.shape[axis]!)} chosen={tile} onChoose={setTile} {...{ dark, ranked, common }} room={HALF} />)}</div>;
  })}</div>
    <p class="options"><label><input type="checkbox" checked={same} onChange={() => setSame(!same)} /> same scale</label><label><input type="checkbox" checked={ranked} onChange={() => setRanked(!ranked)} /> strongest of this input first</label></p>
  </section>;
}
