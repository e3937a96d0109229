// How do two models differ?
import { ActionForm } from "./action_form";
import type { Bench } from "./bench";

export function ComparePanel({ bench }: { bench: Bench }) {
  const { schemas, digest, models } = bench, other = models.find((m) => m.model !== digest);
  if (!schemas.compare) return <p>Comparing is not part of this version.</p>;
  return <section><h2>Compare</h2>{!other && <p class="hint">Open a second file to compare with.</p>}
    <ActionForm name="compare" schema={schemas.compare} source={bench.live!} {...{ digest, models }} hide={["a", "json", "output"]} preset={{ b: other?.model }} /></section>;
}
