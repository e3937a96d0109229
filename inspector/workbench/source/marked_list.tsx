// Which boxes are marked together? Their names, and what can be done with all of them.
import type { Bench } from "./bench";
import { ExtractButton } from "./extract_button";
import { plain } from "./graph";

export function MarkedList({ bench }: { bench: Bench }) {
  const { graph, marked } = bench, items = graph.items.length;
  const name = (id: number) => (id < items ? graph.items[id]!.label : graph.doc.blocks[id - items]![1] || "block"), key = (id: number) => (id < items ? graph.items[id]!.key : graph.doc.blocks[id - items]![0]);
  return <section class="marked"><h2>{marked.size} boxes marked</h2>
    <ul class="values scrolling">{[...marked].map((id) => <li key={id}><button onClick={() => bench.mark(id)} aria-label={`Unmark ${plain(key(id))}`}>×</button> {plain(name(id))} <small>{plain(key(id)).slice(0, 60)}</small></li>)}</ul>
    <ExtractButton bench={bench} /><p><button onClick={() => bench.clearMarks()}>Unmark all</button></p><p class="hint">Shift and click marks one more.</p></section>;
}
