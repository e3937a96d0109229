// What are the tokens of a run called? By the integers that went in, where there is one for each.
import { useEffect, useState } from "preact/hooks";
import type { Bench } from "./bench";

const MOST = 4096;

/** The ids that the first integer input held, as text; [] where there is none. */
export function useTokens({ live, run, graph }: Bench): string[] {
  const [tokens, setTokens] = useState<string[]>([]);
  useEffect(() => {
    let on = true;
    const input = graph.doc.inputs.map((i) => graph.doc.values[i]!).find(([, dtype]) => /^int(32|64)$/.test(dtype));
    setTokens([]);
    if (live && run && input) live.data({ kind: "runs", id: run.run, key: input[0] }, "").then(({ data, shape }) => { if (on && shape.length === 2 && shape[1]! <= MOST) setTokens(Array.from(data.subarray(0, shape[1]), String)); }).catch(() => undefined);
    return () => { on = false; };
  }, [run?.run]);
  return tokens;
}
