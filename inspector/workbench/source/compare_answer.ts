// What does the server say about the two models? Asked once for each pair and input; the bench keeps it.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Bench } from "./bench";
import { matchOf, type Match } from "./compare_match";
import { build, type Graph } from "./graph";
import type { JobState, ModelDocument } from "./types";

export interface Answer { match: Match | null; job: JobState | null; error: string; stop(): void; again(): void }

export function useComparison(bench: Bench): Answer {
  const { live, graph, digest, other, input, compared } = bench, pair = bench.fixed?.held.comparison ?? null;
  const [beside, setBeside] = useState<{ of: string; graph: Graph } | null>(() => pair && { of: other, graph: build(pair.model) }), [job, setJob] = useState<JobState | null>(null), [error, setError] = useState(""), [tries, setTries] = useState(0), leave = useRef<() => void>(() => undefined);
  const mine = compared?.other === other && compared.input === input ? compared : null;
  useEffect(() => {
    if (!other || beside?.of === other) return;
    let wanted = true;
    live!.json<ModelDocument>("models/" + other).then((doc) => wanted && setBeside({ of: other, graph: build(doc) })).catch((fault) => wanted && setError(fault.message));
    return () => { wanted = false; };
  }, [other]);
  useEffect(() => {
    setError("");
    if (!other || mine) return;
    let wanted = true;
    live!.work("comparisons", { a: digest, b: other, ...(input ? { input } : {}) }, (state) => wanted && setJob(state))
      .then(({ result }) => wanted && bench.setCompared({ other, input, record: result.comparison, runs: result.runs }))
      .catch((fault) => wanted && setError(fault.message)).finally(() => wanted && setJob(null));
    leave.current = () => { wanted = false; };
    return leave.current;
  }, [other, input, Boolean(mine), tries]);
  const match = useMemo(() => (mine && beside?.of === other ? matchOf(mine.record, graph, beside.graph) : null), [mine, beside, graph, other]);
  const stop = () => { if (job) void live!.stop(job.job).catch(() => undefined); leave.current(); setJob(null); setError("Stopped."); };
  return { match, job, error, stop, again: () => setTries(tries + 1) };
}
