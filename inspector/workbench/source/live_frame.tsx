// What has a running job made so far? Its picture, asked for again as long as it runs.
import { useEffect, useState } from "preact/hooks";
import type { Live } from "./source";
import type { JobState } from "./types";

const PAUSE = 300;

export function LiveFrame({ job, source }: { job: JobState; source: Live }) {
  const [address, setAddress] = useState(""), [count, setCount] = useState(0);
  useEffect(() => {
    let made = "", on = true;
    const ask = async () => {
      try {
        const blob = await source.blob(`jobs/${job.job}/frame`);
        if (on && blob.size) { URL.revokeObjectURL(made); setAddress(made = URL.createObjectURL(blob)); setCount((n) => n + 1); }
      } catch { return; }
      if (on) setTimeout(ask, PAUSE);
    };
    void ask();
    return () => { on = false; URL.revokeObjectURL(made); };
  }, [job.job]);
  return address ? <figure class="growing" data-frames={count}><img src={address} alt="The picture as it is now" /><figcaption>It grows while you look.</figcaption></figure> : null;
}
