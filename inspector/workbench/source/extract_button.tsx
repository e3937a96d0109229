// How does a part leave the page? Cut out as ONNX that runs on its own.
import { useEffect, useState } from "preact/hooks";
import type { Bench } from "./bench";
import { keep } from "./keep";
import { itemsBelow } from "./lineage";
import { Progress } from "./progress";
import type { JobState } from "./types";

export function ExtractButton({ bench }: { bench: Bench }) {
  const { graph, live, digest, selected, marked } = bench, [job, setJob] = useState<JobState | null>(null), [error, setError] = useState("");
  useEffect(() => setError(""), [selected]);
  if (!live) return null;
  const chosen = new Set([...(marked.size ? marked : [selected])].flatMap((id) => itemsBelow(graph, id))), nodes = [...chosen].sort((a, b) => a - b).filter((i) => graph.items[i]!.node).map((i) => graph.items[i]!.key);
  const save = async () => {
    setError("");
    try {
      const made = await live.work("actions/extract", { model: digest, path: "part.onnx", nodes }, setJob);
      for (const file of made.files ?? []) keep(await live.blob("files/" + file.file), file.name);
    } catch (fault) { setError((fault as Error).message); }
    setJob(null);
  };
  return <><p><button disabled={job !== null} title="Cut this part out; it runs on its own and gives the same numbers" onClick={save}>Save as ONNX</button></p>
    {job && <Progress job={job} onStop={() => live.stop(job.job)} />}{error && <p class="problem" role="alert">{error}</p>}</>;
}
