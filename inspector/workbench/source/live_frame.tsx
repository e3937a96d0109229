// What has a running job made so far? Its picture, asked for again as long as it runs, and kept when it is stopped.
import { useEffect, useRef, useState } from "preact/hooks";
import { keep } from "./keep";
import type { Live } from "./source";
import type { JobState } from "./types";

const PAUSE = 300;
const ended = ({ state }: JobState) => state === "cancelled" || state === "failed";

export function LiveFrame({ job, source }: { job: JobState; source: Live }) {
  const [picture, setPicture] = useState<{ blob: Blob; address: string } | null>(null), [count, setCount] = useState(0), over = ended(job), held = useRef("");
  const ask = async () => {
    const blob = await source.blob(`jobs/${job.job}/frame`);
    if (!blob.size) return;
    URL.revokeObjectURL(held.current);
    setPicture({ blob, address: (held.current = URL.createObjectURL(blob)) });
    setCount((n) => n + 1);
  };
  useEffect(() => {
    let on = true;
    const again = async () => { try { await ask(); } catch { return; } if (on && !over) setTimeout(() => on && again(), PAUSE); };
    void again();
    return () => { on = false; };
  }, [job.job, over]);
  useEffect(() => () => URL.revokeObjectURL(held.current), []);
  if (!picture) return null;
  const step = job.step, far = step ? `step ${step.done}${step.total ? ` of ${step.total}` : ""}` : "";
  return <figure class="growing" data-frames={count}><img src={picture.address} alt={over ? "The picture as it was when it was stopped" : "The picture as it is now"} />
    <figcaption>{over ? <>Stopped at {far}. <button type="button" onClick={() => keep(picture.blob, "stopped.png")}>Save picture</button></> : `It grows while you look; ${far}.`}</figcaption></figure>;
}
