// How does a part leave the page? Cut out as ONNX that runs on its own.
import { useEffect, useState } from "preact/hooks";
import type { Bench } from "./bench";
import type { Graph } from "./graph";
import { keep } from "./keep";
import { Progress } from "./progress";
import type { JobState } from "./types";

function keysBelow(graph: Graph, id: number): string[] {
  if (id < graph.items.length) return graph.items[id]!.node ? [graph.items[id]!.key] : [];
  const block = id - graph.items.length;
  return [...graph.own[block]!, ...graph.children[block]!.map((b) => b + graph.items.length)].flatMap((member) => keysBelow(graph, member));
}

export function ExtractButton({ bench }: { bench: Bench }) {
  const { graph, live, digest, selected } = bench, [job, setJob] = useState<JobState | null>(null), [error, setError] = useState("");
  useEffect(() => setError(""), [selected]);
  if (!live) return null;
  const save = async () => {
    setError("");
    try {
      const made = await live.work("actions/extract", { model: digest, path: "part.onnx", nodes: keysBelow(graph, selected) }, setJob);
      for (const file of made.files ?? []) keep(await live.blob("files/" + file.file), file.name);
    } catch (fault) { setError((fault as Error).message); }
    setJob(null);
  };
  return <><p><button disabled={job !== null} title="Cut this part out; it runs on its own and gives the same numbers" onClick={save}>Save as ONNX</button></p>
    {job && <Progress job={job} onStop={() => live.stop(job.job)} />}{error && <p class="problem" role="alert">{error}</p>}</>;
}
