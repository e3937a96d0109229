// What is in a block? Its operators and blocks in order, as a tree that opens and closes.
import { useState } from "preact/hooks";
import { plain, type Graph } from "./graph";
import { short } from "./painter";

/** So many members are listed at first. */
export const MOST = 300;

export function Branch(props: { block: number; graph: Graph; selected: number; open: Set<number>; onSelect(id: number, event: MouseEvent): void; onToggle(block: number): void }) {
  const { block, graph, selected, open, onSelect, onToggle } = props, [all, setAll] = useState(false);
  const first = (member: number) => (member < graph.items.length ? member : firstBelow(graph, member - graph.items.length));
  const members = [...graph.own[block]!, ...graph.children[block]!.map((b) => b + graph.items.length)].sort((p, q) => first(p) - first(q));
  const shown = all ? members : members.slice(0, MOST);
  return <>{shown.map((id) => {
    if (id < graph.items.length) return <li role="treeitem" key={id}><button class={id === selected ? "chosen" : ""} onClick={(e) => onSelect(id, e)}>{graph.items[id]!.label} <small>{plain(graph.items[id]!.key).slice(0, 60)}</small></button></li>;
    const b = id - graph.items.length, row = graph.doc.blocks[b]!;
    return <li role="treeitem" key={id} aria-expanded={open.has(b)}><span class="line"><button class="fold" aria-label={open.has(b) ? "Close" : "Open"} onClick={() => onToggle(b)}>{open.has(b) ? "−" : "+"}</button>
      <button class={id === selected ? "chosen" : ""} onClick={(e) => onSelect(id, e)}><b>{plain(row[1] || "block").slice(0, 60)}</b>{row[4] > 1 ? ` ×${row[4]}` : ""} <small>{graph.count[b]} ops{graph.parameters[b] ? `, ${short(graph.parameters[b]!)}` : ""}</small></button></span>
      {open.has(b) && <ul role="group"><Branch {...props} block={b} /></ul>}</li>;
  })}{shown.length < members.length && <li><button onClick={() => setAll(true)}>… {members.length - shown.length} more</button></li>}</>;
}

function firstBelow(graph: Graph, block: number): number {
  for (let b = block; ;) { if (graph.own[b]!.length) return graph.own[b]![0]!; if (!graph.children[b]!.length) return Infinity; b = graph.children[b]![0]!; }
}
