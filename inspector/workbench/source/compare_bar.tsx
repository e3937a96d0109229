// Which two models, fed with what, and what came out of it?
import { writeAddress, readAddress } from "./address";
import type { Bench } from "./bench";
import type { Match } from "./compare_match";
import { CompareWith } from "./compare_with";
import { cut, plain } from "./graph";

export function CompareBar({ bench, match, busy }: { bench: Bench; match: Match | null; busy: boolean }) {
  const upload = async (event: Event) => {
    const field = event.currentTarget as HTMLInputElement, file = field.files?.[0];
    if (!file) return;
    try { bench.setInput(await bench.live!.upload(file)); } catch (fault) { bench.fail((fault as Error).message); }
    field.value = "";
  };
  const swap = () => { writeAddress({ ...readAddress(), other: bench.digest, node: "", partner: "" }); bench.choose(bench.other); };
  const words = match?.record.verdict ?? (busy ? "comparing …" : "not compared"), notes = match?.record.notes ?? [];
  return <div class="versus">
    <span class="who"><b>A</b> {cut(plain(bench.graph.doc.name), 40)} {bench.live && <button title="Show B on the left and A on the right" onClick={swap}>Swap</button>} <b>B</b> {bench.fixed ? cut(plain(bench.fixed.held.comparison!.model.name), 40) : <CompareWith bench={bench} />}</span>
    {bench.live && <span class="fed">fed with {bench.input ? "the given input" : "random numbers"} {bench.input && <button onClick={() => bench.setInput("")}>Random instead</button>}<label class="button">Picture or array …<input type="file" aria-label="Input for both models" onChange={upload} /></label></span>}
    <p class="verdict" role="status">{words[0]!.toUpperCase() + words.slice(1)}{match ? "." : ""}{match?.record.first_divergence ? ` Values part first: ${plain(match.record.first_divergence.reason)}.` : ""}</p>
    {notes.length > 0 && <details class="notes"><summary>{notes.length} {notes.length === 1 ? "note" : "notes"}</summary><ul>{notes.map((note) => <li key={note}>{plain(note)}</li>)}</ul></details>}
  </div>;
}
