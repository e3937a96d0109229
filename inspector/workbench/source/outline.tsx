// What are the parts, as text? The tree of blocks and nodes, for keyboard and screen reader.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Bench } from "./bench";
import { plain, type Graph } from "./graph";
import { short } from "./painter";
import { search } from "./query";

const MOST = 300;

export function Outline({ bench }: { bench: Bench }) {
  const { graph, selected, open, query, setQuery: onQuery, setFound: onFound, show: onSelect, toggle: onToggle } = bench;
  const [error, setError] = useState(""), [found, setFound] = useState<number[]>([]), field = useRef<HTMLInputElement>(null), [at, setAt] = useState(-1);
  useEffect(() => {
    try { const list = query.trim() ? search(graph, query) : []; setFound(list); onFound(new Set(list)); setError(""); setAt(-1); }
    catch (fault) { setFound([]); onFound(new Set()); setError((fault as Error).message); }
  }, [query, graph]);
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (e.key === "/" && !(e.target instanceof HTMLInputElement)) { e.preventDefault(); field.current!.focus(); }
      if (e.key === "Escape") { onQuery(""); onSelect(-1); field.current!.blur(); }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  const step = (by: number) => { if (!found.length) return; const next = at < 0 ? (by > 0 ? 0 : found.length - 1) : (at + by + found.length) % found.length; setAt(next); onSelect(found[next]!); };
  return <nav class="outline" aria-label="Outline">
    <input ref={field} type="search" aria-label="Search" placeholder="Search:  op=Conv & params>1e5   ( / )" value={query} onInput={(e) => onQuery(e.currentTarget.value)}
      onKeyDown={(e) => { if (e.key === "Enter") step(e.shiftKey ? -1 : 1); }} />
    {error && <p class="problem" role="alert">{error}</p>}
    {query.trim() ? <><p class="count" role="status">{found.length} found</p>
      <ul>{found.slice(0, MOST).map((i) => <li key={i}><button class={i === selected ? "chosen" : ""} onClick={() => onSelect(i)}><b>{graph.items[i]!.label}</b> {plain(graph.items[i]!.key).slice(0, 80)}</button></li>)}
        {found.length > MOST && <li>… and {found.length - MOST} more</li>}</ul></>
      : <ul role="tree"><Branch block={0} {...{ graph, selected, open, onSelect, onToggle }} /></ul>}
  </nav>;
}

function Branch(props: { block: number; graph: Graph; selected: number; open: Set<number>; onSelect(id: number): void; onToggle(block: number): void }) {
  const { block, graph, selected, open, onSelect, onToggle } = props, [all, setAll] = useState(false);
  const first = (member: number) => (member < graph.items.length ? member : firstBelow(graph, member - graph.items.length));
  const members = [...graph.own[block]!, ...graph.children[block]!.map((b) => b + graph.items.length)].sort((p, q) => first(p) - first(q));
  const shown = all ? members : members.slice(0, MOST);
  return <>{shown.map((id) => {
    if (id < graph.items.length) return <li role="treeitem" key={id}><button class={id === selected ? "chosen" : ""} onClick={() => onSelect(id)}>{graph.items[id]!.label} <small>{plain(graph.items[id]!.key).slice(0, 60)}</small></button></li>;
    const b = id - graph.items.length, row = graph.doc.blocks[b]!;
    return <li role="treeitem" key={id} aria-expanded={open.has(b)}><span class="line"><button class="fold" aria-label={open.has(b) ? "Close" : "Open"} onClick={() => onToggle(b)}>{open.has(b) ? "−" : "+"}</button>
      <button class={id === selected ? "chosen" : ""} onClick={() => onSelect(id)}><b>{plain(row[1] || "block").slice(0, 60)}</b>{row[4] > 1 ? ` ×${row[4]}` : ""} <small>{graph.count[b]} ops{graph.parameters[b] ? `, ${short(graph.parameters[b]!)}` : ""}</small></button></span>
      {open.has(b) && <ul role="group"><Branch {...props} block={b} /></ul>}</li>;
  })}{shown.length < members.length && <li><button onClick={() => setAll(true)}>… {members.length - shown.length} more</button></li>}</>;
}

function firstBelow(graph: Graph, block: number): number {
  for (let b = block; ;) { if (graph.own[b]!.length) return graph.own[b]![0]!; if (!graph.children[b]!.length) return Infinity; b = graph.children[b]![0]!; }
}
