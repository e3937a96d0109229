// What is there to see while only one model is open? A place for the other.
import type { Bench } from "./bench";
import { CompareWith } from "./compare_with";
import { cut, plain } from "./graph";

export function CompareStart({ bench }: { bench: Bench }) {
  return <div class="empty"><h2>Compare {cut(plain(bench.graph.doc.name), 60)} with …</h2>
    {bench.given.length > 1 && <p role="status"><b>Both files hold the same model: graph and weights are equal.</b></p>}
    <p>Drop a second model file here, of any format, or choose one.</p><CompareWith bench={bench} /></div>;
}
