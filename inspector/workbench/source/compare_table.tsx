// Where do the models differ? One row a pair or lone node, to filter and to sort.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Chosen } from "./compare_view";
import type { DifferenceRow, Match, Side } from "./compare_match";
import { rankOf, STATES, stateOf, type Kind } from "./compare_states";
import { plain } from "./graph";
import { Swatch } from "./swatch";
import { number } from "./number";

const MOST = 300;
const COLUMNS = [["place", "#", "Place in the order of A"], ["state", "differs", "What differs"], ["a", "A", "Node of A"], ["b", "B", "Node of B"],
  ["weights", "Δ weights", "Relative L2 of the weights that differ"], ["values", "Δ values", "Relative L2 of the output that differs"], ["reason", "what", "What differs, in words"]] as const;
type Column = (typeof COLUMNS)[number][0];
interface Props { match: Match; chosen: Chosen; /** The chosen weight of A, where there are no nodes. */ weight: string; onChoose(a: number, b: number): void; onWeight(key: string): void }

const nameOf = ({ graph }: Side, ids: number[]) => ids.map((i) => `${graph.items[i]!.node?.op ?? ""} ${graph.items[i]!.key}`).join(", ");

export function CompareTable({ match, chosen, weight, onChoose, onWeight }: Props) {
  const [shown, setShown] = useState<ReadonlySet<Kind>>(() => new Set(STATES.map((row) => row.kind).filter((kind) => kind !== "equal")));
  const [text, setText] = useState(""), [column, setColumn] = useState<Column>("place"), [down, setDown] = useState(false), [most, setMost] = useState(MOST);
  const line = useRef<HTMLTableRowElement>(null);
  const all = useMemo(() => match.rows.map((row, place) => ({ row, place, a: row.names?.[0] ?? nameOf(match.a, row.a), b: row.names?.[1] ?? nameOf(match.b, row.b) })), [match]);
  const rows = useMemo(() => {
    const wanted = text.toLowerCase(), size = (n: number | null) => n ?? -1;
    const order: Record<Column, (p: (typeof all)[number], q: (typeof all)[number]) => number> = {
      place: (p, q) => p.place - q.place, state: (p, q) => rankOf(p.row.kind) - rankOf(q.row.kind), a: (p, q) => p.a.localeCompare(q.a), b: (p, q) => p.b.localeCompare(q.b),
      weights: (p, q) => size(p.row.weights) - size(q.row.weights), values: (p, q) => size(p.row.values) - size(q.row.values), reason: (p, q) => p.row.reason.localeCompare(q.row.reason) };
    const list = all.filter(({ row, a, b }) => shown.has(row.kind) && (!wanted || `${a} ${b} ${row.reason}`.toLowerCase().includes(wanted)));
    return list.sort((p, q) => (down ? -1 : 1) * order[column](p, q) || p.place - q.place);
  }, [all, shown, text, column, down]);
  const isChosen = (row: DifferenceRow) => row.names ? row.at! >= 0 && row.names[0] === weight : (row.a.length && chosen[0] >= 0 ? row.a.includes(chosen[0]) : row.b.includes(chosen[1]) && (chosen[0] < 0 || !row.a.length));
  const at = rows.findIndex(({ row }) => isChosen(row));
  useEffect(() => line.current?.scrollIntoView({ block: "nearest" }), [chosen[0], chosen[1], weight]);
  const pick = (row: DifferenceRow) => row.names ? onWeight(row.at! < 0 ? "" : row.names[0]) : onChoose(row.a[0] ?? -1, row.b[0] ?? -1);
  const step = (by: number) => { if (rows.length) pick(rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : (at + by + rows.length) % rows.length]!.row); };
  const turn = (kind: Kind) => { const next = new Set(shown); if (!next.delete(kind)) next.add(kind); setShown(next); };
  const sort = (name: Column) => { setDown(name === column ? !down : name === "weights" || name === "values"); setColumn(name); };
  return <div class="differences">
    <div class="legend" role="group" aria-label="States; click to list or hide">{STATES.filter((row) => match.counts.get(row.kind)).map((row) =>
      <button key={row.kind} class="kind" aria-pressed={shown.has(row.kind)} onClick={() => turn(row.kind)}><Swatch fill={row.fill || "var(--block)"} />{row.mark}{row.short} <b>{match.counts.get(row.kind)!.toLocaleString("en")}</b></button>)}
      <span class="right"><button aria-label="Previous difference" onClick={() => step(-1)}>‹</button><span>{at >= 0 ? `${at + 1} of ` : ""}{rows.length.toLocaleString("en")}</span><button aria-label="Next difference" onClick={() => step(1)}>›</button>
        <input type="search" aria-label="Filter differences" placeholder="Filter" value={text} onInput={(e) => setText(e.currentTarget.value)} /></span></div>
    <div class="scroll"><table aria-label="Differences"><thead><tr>{COLUMNS.map(([name, title, said]) => <th key={name} class={"col-" + name} scope="col" title={said} aria-sort={name === column ? (down ? "descending" : "ascending") : "none"}><button onClick={() => sort(name)}>{title}{name === column ? (down ? " ↓" : " ↑") : ""}</button></th>)}</tr></thead>
      <tbody>{rows.slice(0, most).map(({ row, place, a, b }) => { const mine = isChosen(row); return <tr key={place} ref={mine ? line : undefined} class={mine ? "chosen" : ""} aria-current={mine ? "true" : undefined} onClick={() => pick(row)}>
        <td>{place + 1}</td><td><button onClick={(e) => { e.stopPropagation(); pick(row); }}><Swatch fill={stateOf(row.kind).fill || "var(--block)"} />{stateOf(row.kind).short}</button></td><td title={plain(a)}>{plain(a)}</td><td title={plain(b)}>{plain(b)}</td>
        <td>{row.weights === null ? "" : number(row.weights)}</td><td>{row.values === null ? "" : number(row.values)}</td><td title={plain(row.reason)}>{row.first && <b>values part here </b>}{plain(row.reason)}</td></tr>; })}</tbody></table>
      {rows.length > most && <p><button onClick={() => setMost(most + MOST)}>{(rows.length - most).toLocaleString("en")} more</button></p>}
      {!rows.length && <p class="hint">{text ? "Nothing passes the filter." : match.rows.some((row) => row.kind !== "equal") ? "The states above are hidden." : "No differences. Click “same” above to list the matched nodes."}</p>}</div>
  </div>;
}
