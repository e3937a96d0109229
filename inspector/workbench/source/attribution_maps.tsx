// What speaks for the answer? Every map over the input, side by side on a slider of their own opacity.
import { useEffect, useState } from "preact/hooks";
import { plain } from "./graph";
import { HeatMap, ends, flat } from "./heat_map";
import { keep } from "./keep";
import type { Live } from "./source";
import { number } from "./number";
import type { JobState, Tensor } from "./types";

interface Fetched { job: string; maps: Tensor[]; picture: Tensor | null }

export function AttributionMaps({ answer, live }: { answer: JobState; live: Live }) {
  const made: any[] = answer.result.maps, refused = Object.entries<string>(answer.result.refused), [opacity, setOpacity] = useState(0.6), [got, setGot] = useState<Fetched | null>(null), [error, setError] = useState("");
  const at = (key: string) => ({ kind: "jobs" as const, id: answer.job, key });
  useEffect(() => {
    let on = true;
    setError("");
    const read = async () => {
      const maps = await Promise.all(made.map((_, i) => live.data(at(String(i)), "")));
      const picture = await live.data(at("picture"), "").catch(() => null);
      if (on) setGot({ job: answer.job, maps, picture });
    };
    read().catch((fault) => on && setError(fault.message));
    return () => { on = false; };
  }, [answer.job]);
  const ready = got?.job === answer.job ? got : null;
  return <section class="maps" aria-label="Maps">
    {error && <p class="problem" role="alert">{error}</p>}
    {ready?.picture && <label class="slider">Input <input type="range" min={0} max={1} step={0.01} value={opacity} aria-label="Opacity of the maps" onInput={(e) => setOpacity(Number(e.currentTarget.value))} /> map</label>}
    <div class="sheet">{made.map((one, i) => {
      const map = ready?.maps[i], title = `${one.method} for ${plain(one.target)}`, scale = map && ends(flat(map).data);
      return <figure key={answer.job + i}>
        {map ? <HeatMap {...{ map, opacity, title }} picture={ready.picture} /> : <p class="waiting" role="status">Reading …</p>}
        <figcaption><b>{one.method}</b> for {plain(one.target)}, score {number(one.score)}{one.layer && <>, at {plain(one.layer)}</>}{one.residual !== null && <>, residual {number(one.residual)}</>}
          {scale && <>. {scale[0] < 0 ? `blue ${number(-Math.max(-scale[0], scale[1]))}, red ${number(Math.max(-scale[0], scale[1]))}` : `dark ${number(scale[0])}, bright ${number(scale[1])}`}</>}.
          {one.notes.map((note: string) => <> {plain(note)}</>)} <button type="button" onClick={async () => keep(await live.npy(at(String(i))), `${one.method}.npy`)}>Save .npy</button></figcaption>
      </figure>;
    })}</div>
    {refused.map(([name, why]) => <p class="problem" key={name}><b>{plain(name)}</b>: {plain(why)}</p>)}
  </section>;
}
