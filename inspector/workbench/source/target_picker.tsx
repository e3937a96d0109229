// Which answers are explained? Classes found by their label or number, or expressions of the outputs.
import { useEffect, useRef, useState } from "preact/hooks";
import { plain } from "./graph";
import type { Live } from "./source";

const MOST = 40;
interface Props { live: Live; digest: string; /** Class numbers of the best answers. */ best: number[]; chosen: string[]; onChoose(chosen: string[]): void }

export function TargetPicker({ live, digest, best, chosen, onChoose }: Props) {
  const [labels, setLabels] = useState<string[]>([]), [query, setQuery] = useState(""), [open, setOpen] = useState(false), [at, setAt] = useState(0), [error, setError] = useState(""), list = useRef<HTMLUListElement>(null);
  const read = (file = "") => live.json<{ labels: string[] }>(`models/${digest}/labels${file && "?file=" + file}`).then((found) => { setLabels(found.labels); setError(""); }).catch((fault) => setError(fault.message));
  useEffect(() => { void read(); }, [digest]);
  const wanted = query.trim().toLowerCase(), numbers = wanted ? labels.map((_, i) => i).filter((i) => labels[i]!.toLowerCase().includes(wanted) || String(i) === wanted) : [...new Set([...best, ...labels.keys()])];
  const shown = numbers.slice(0, MOST), name = (index: string) => (labels[Number(index)] ? `${plain(labels[Number(index)]!)} (${index})` : index === "top" ? "best answer" : plain(index));
  const add = (one: string) => { if (one && !chosen.includes(one)) onChoose([...chosen, one]); setQuery(""); setOpen(false); setAt(0); };
  const keys = (e: KeyboardEvent) => {
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      const next = open ? Math.max(0, Math.min(shown.length - 1, at + (e.key === "ArrowDown" ? 1 : -1))) : 0;
      setOpen(true); setAt(next); list.current?.children[next]?.scrollIntoView({ block: "nearest" }); e.preventDefault();
    } else if (e.key === "Enter") { e.preventDefault(); add(open && shown[at] !== undefined ? String(shown[at]) : query.trim()); }
    else if (e.key === "Escape" && open) { e.stopPropagation(); setOpen(false); }
    else if (e.key === "Backspace" && !query) onChoose(chosen.slice(0, -1));
  };
  return <div class="targets"><span id="target-name">Explain</span>
    <div class="chips">{(chosen.length ? chosen : ["top"]).map((one) => <span class="chip" key={one}>{name(one)}{chosen.length > 0 && <button type="button" aria-label={`Remove ${name(one)}`} onClick={() => onChoose(chosen.filter((c) => c !== one))}>×</button>}</span>)}</div>
    <input role="combobox" aria-labelledby="target-name" aria-expanded={open} aria-controls="target-list" aria-activedescendant={open && shown.length ? `target-${shown[at]}` : undefined} autocomplete="off"
      placeholder={labels.length ? `search ${labels.length.toLocaleString("en")} labels, or a[1] - a[2]` : "a class number, or a[1] - a[2]"} value={query}
      onFocus={() => setOpen(true)} onBlur={() => setOpen(false)} onKeyDown={keys} onInput={(e) => { setQuery(e.currentTarget.value); setOpen(true); setAt(0); }} />
    <label class="button" title="A line a class, or JSON">Labels …<input type="file" aria-label="File with labels" onChange={async (e) => { const file = e.currentTarget.files?.[0]; if (file) try { await read(await live.upload(file)); } catch (fault) { setError((fault as Error).message); } }} /></label>
    {open && shown.length > 0 && <ul id="target-list" role="listbox" ref={list}>{shown.map((i, n) => <li key={i} id={`target-${i}`} role="option" aria-selected={n === at} class={n === at ? "chosen" : ""} onMouseDown={(e) => { e.preventDefault(); add(String(i)); }}>{plain(labels[i] ?? "class")} <small>{i}{best.includes(i) ? ", among the best" : ""}</small></li>)}</ul>}
    {error && <p class="problem" role="alert">{error}</p>}</div>;
}
