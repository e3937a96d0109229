// Which numbers are in a tensor? A page of its last two axes, at chosen places of the others.
import { useEffect, useState } from "preact/hooks";
import { keep } from "./keep";
import { number } from "./number";
import type { Live, Ref } from "./source";
import type { Tensor } from "./types";

const ROWS = 16, COLUMNS = 8;

export function Numbers({ source, at, stored, shape, axes }: { source: Live; /** Its axes as they are shown. */ at: Ref; /** As it is stored, and saved. */ stored: Ref; shape: number[]; /** The number of each axis as it is stored. */ axes: number[] }) {
  const [row, setRow] = useState(0), [column, setColumn] = useState(0), [lead, setLead] = useState<number[]>([]), [part, setPart] = useState<Tensor | null>(null), [error, setError] = useState("");
  const before = shape.slice(0, -2), place = before.map((_, i) => lead[i] ?? 0), rows = shape.length > 1 ? shape.at(-2)! : 1, columns = shape.at(-1) ?? 1;
  useEffect(() => { setRow(0); setColumn(0); setLead([]); }, [at.key, at.id, at.order]);
  useEffect(() => {
    let current = true;
    const index = [...place, ...(shape.length > 1 ? [`${row}:${row + ROWS}`] : []), ...(shape.length ? [`${column}:${column + COLUMNS}`] : [])].join(",");
    source.data(at, index).then((found) => { if (current) { setPart(found); setError(""); } }).catch((fault) => { if (current) setError(fault.message); });
    return () => { current = false; };
  }, [at.key, at.id, at.order, at.minus, row, column, place.join()]);
  const wide = part?.shape.at(-1) ?? 1, high = part && part.shape.length > 1 ? part.shape.at(-2)! : 1;
  return <section class="numbers"><h4>Numbers</h4>
    {error && <p class="problem">{error}</p>}
    <div class="paging">{before.map((size, axis) => <label key={axis}>axis {axes[axis]} <input type="number" min={0} max={size - 1} value={place[axis]} onInput={(e) => { const next = [...place]; next[axis] = Math.max(0, Math.min(size - 1, Number(e.currentTarget.value) || 0)); setLead(next); }} /></label>)}
      {rows > ROWS && <span><button disabled={row === 0} onClick={() => setRow(row - ROWS)}>↑</button> rows {row}–{Math.min(rows, row + ROWS) - 1} of {rows} <button disabled={row + ROWS >= rows} onClick={() => setRow(row + ROWS)}>↓</button></span>}
      {columns > COLUMNS && <span><button disabled={column === 0} onClick={() => setColumn(column - COLUMNS)}>←</button> columns {column}–{Math.min(columns, column + COLUMNS) - 1} of {columns} <button disabled={column + COLUMNS >= columns} onClick={() => setColumn(column + COLUMNS)}>→</button></span>}
      <button onClick={async () => keep(await source.npy(stored), at.key + ".npy")}>Save .npy</button></div>
    <table><tbody>{part && Array.from({ length: high }, (_, r) => <tr key={r}>{Array.from({ length: wide }, (_, k) => <td key={k}>{number(part.data[r * wide + k]!)}</td>)}</tr>)}</tbody></table>
  </section>;
}
