// What are the parts, as text? The tree of blocks and nodes, for keyboard and screen reader.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Bench } from "./bench";
import { Branch, MOST } from "./branch";
import { plain, type Graph } from "./graph";
import { search } from "./query";
import { SearchHelp } from "./search_help";

function asked(graph: Graph, query: string): { found: number[]; error: string } {
  try { return { found: query.trim() ? search(graph, query) : [], error: "" }; } catch (fault) { return { found: [], error: (fault as Error).message }; }
}

export function Outline({ bench }: { bench: Bench }) {
  const { graph, selected, open, query, setQuery: onQuery, setFound: onFound, show: onSelect, toggle: onToggle } = bench;
  const { found, error } = useMemo(() => asked(graph, query), [graph, query]), field = useRef<HTMLInputElement>(null), list = useRef<HTMLElement>(null), [at, setAt] = useState(-1), [helped, setHelped] = useState(false);
  useEffect(() => { onFound(new Set(found)); setAt(-1); }, [found]);
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (e.key === "/" && !(e.target instanceof HTMLInputElement)) { e.preventDefault(); field.current!.focus(); }
      if (e.key === "Escape") { onQuery(""); onSelect(-1); field.current!.blur(); }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  useEffect(() => list.current!.querySelector(".chosen")?.scrollIntoView({ block: "nearest" }), [selected]);
  const choose = (id: number, event: MouseEvent) => (event.shiftKey ? bench.mark(id) : onSelect(id));
  const step = (by: number) => { if (!found.length) return; const next = at < 0 ? (by > 0 ? 0 : found.length - 1) : (at + by + found.length) % found.length; setAt(next); onSelect(found[next]!); };
  return <nav ref={list} class="outline" aria-label="Outline">
    <span class="find"><input ref={field} type="search" aria-label="Search" placeholder="Search:  op=Conv & params>1e5   ( / )" value={query} onInput={(e) => onQuery(e.currentTarget.value)}
      onKeyDown={(e) => { if (e.key === "Enter") step(e.shiftKey ? -1 : 1); if (e.key === "ArrowDown" || e.key === "ArrowUp") { step(e.key === "ArrowDown" ? 1 : -1); e.preventDefault(); } }} />
      <button aria-label="Query language" title="How to write a query" aria-expanded={helped} onClick={() => setHelped(!helped)}>?</button></span>
    {helped && <SearchHelp onTry={(text) => { onQuery(text); field.current!.focus(); }} />}
    {error && <p class="problem" role="alert">{error}</p>}
    {query.trim() ? <><p class="count" role="status">{found.length} found</p>
      <ul>{found.slice(0, MOST).map((i) => <li key={i}><button class={i === selected ? "chosen" : ""} onClick={(e) => choose(i, e)}><b>{graph.items[i]!.label}</b> {plain(graph.items[i]!.key).slice(0, 80)}</button></li>)}
        {found.length > MOST && <li>… and {found.length - MOST} more</li>}</ul></>
      : <ul role="tree"><Branch block={0} {...{ graph, selected, open, onToggle }} onSelect={choose} /></ul>}
  </nav>;
}
