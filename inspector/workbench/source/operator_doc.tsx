// What does the operator do? The text of the ONNX standard.
import { useEffect, useState } from "preact/hooks";
import type { Live } from "./source";

export function OperatorDoc({ live, digest, nodeKey }: { live: Live; digest: string; nodeKey: string }) {
  const [text, setText] = useState("");
  useEffect(() => { let on = true; setText(""); live.json<{ doc: string }>(`models/${digest}/operator?key=${encodeURIComponent(nodeKey)}`).then((r) => on && setText(r.doc)).catch(() => on && setText("")); return () => { on = false; }; }, [nodeKey, digest]);
  return text ? <details><summary>What the operator does</summary><pre>{text}</pre></details> : null;
}
