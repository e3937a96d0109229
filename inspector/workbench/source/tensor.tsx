// What is in one tensor? Statistics, histogram, pictures, a surface, and its numbers page by page.
import { useEffect, useRef, useState } from "preact/hooks";
import { Live, type Ref, type Source } from "./source";
import { keep } from "./keep";
import { diverging, readTheme, sequential } from "./theme";
import type { Summary, Tensor } from "./types";
import { Surface } from "./surface";

export const number = (v: number | null) => (v === null ? "–" : Math.abs(v) >= 1e5 || (v !== 0 && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(+v.toPrecision(4)));
const TILES = 64, ROWS = 16, COLUMNS = 8;

/** Pictures are the last two axes; up to 64 along the axes before them. */
function pictureIndex(shape: number[]): string {
  const lead = shape.slice(0, -2);
  let left = TILES;
  const parts = lead.map((size) => { const take = Math.max(1, Math.min(size, left)); left = Math.max(1, Math.floor(left / take)); return `0:${take}`; });
  return [...parts, "0:512", "0:512"].slice(-shape.length).join(",");
}

export function TensorView({ source, at, dark }: { source: Source; at: Ref; dark: boolean }) {
  const [summary, setSummary] = useState<Summary | null>(null), [error, setError] = useState(""), [part, setPart] = useState<Tensor | null>(null), [tile, setTile] = useState(0);
  useEffect(() => {
    let current = true;
    setSummary(null); setError(""); setPart(null); setTile(0);
    const begun = performance.now();
    source.summary(at).then(async (found) => {
      if (!current) return;
      setSummary(found);
      if (source.live && found.counts.length && found.shape.length > 1) {
        const data = await source.data(at, pictureIndex(found.shape));
        if (current) { setPart(data); document.body.dataset.value = String(Math.round(performance.now() - begun)); }
      }
    }).catch((fault) => { if (current) setError(String(fault.message)); });
    return () => { current = false; };
  }, [at.kind, at.id, at.key]);
  if (error) return <p class="problem" role="alert">{error}</p>;
  if (!summary) return <p class="waiting" role="status">Reading …</p>;
  return <div class="tensor">
    <Histogram summary={summary} dark={dark} />
    <dl class="facts">{([["min", summary.min], ["max", summary.max], ["mean", summary.mean], ["std", summary.std]] as const).map(([name, v]) => <div><dt>{name}</dt><dd>{number(v)}</dd></div>)}
      <div><dt>zeros</dt><dd>{(summary.zeros * 100).toFixed(1)} %</dd></div>{summary.nan + summary.inf > 0 && <div><dt>NaN, Inf</dt><dd>{summary.nan}, {summary.inf}</dd></div>}</dl>
    {part && <Tiles part={part} whole={summary.shape} chosen={tile} onChoose={setTile} />}
    {part && <Surface part={part} tile={tile} dark={dark} />}
    {source.live && summary.counts.length > 0 && <Table source={source as Live} at={at} shape={summary.shape} />}
  </div>;
}

function Histogram({ summary, dark }: { summary: Summary; dark: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const c = canvas.current?.getContext("2d"); if (!c || !summary.counts.length) return;
    const theme = readTheme(), w = 360, h = 110, low = summary.min!, high = summary.max! > low ? summary.max! : low + 1, most = Math.max(...summary.counts);
    c.setTransform(2, 0, 0, 2, 0, 0); c.clearRect(0, 0, w, h);
    c.fillStyle = "#4c8dbd";
    summary.counts.forEach((n, i) => { const bar = (n / most) * 84; c.fillRect(4 + (i * (w - 8)) / 64, 92 - bar, (w - 8) / 64 - 0.6, bar); });
    c.strokeStyle = theme.faint; c.beginPath(); c.moveTo(4, 92.5); c.lineTo(w - 4, 92.5); c.stroke();
    if (low < 0 && high > 0) { const x = 4 + (-low / (high - low)) * (w - 8); c.setLineDash([3, 3]); c.beginPath(); c.moveTo(x, 6); c.lineTo(x, 92); c.stroke(); c.setLineDash([]); }
    c.fillStyle = theme.faint; c.font = "11px system-ui, sans-serif";
    c.textAlign = "left"; c.fillText(number(low), 4, 106); c.textAlign = "right"; c.fillText(number(high), w - 4, 106);
    c.textAlign = "center"; c.fillText(`highest bar ${most.toLocaleString("en")}${summary.sampled > 1 ? `, every ${summary.sampled}th element` : ""}`, w / 2, 106);
  }, [summary, dark]);
  return summary.counts.length ? <canvas ref={canvas} width={720} height={220} class="histogram" role="img" aria-label={`Histogram from ${number(summary.min)} to ${number(summary.max)}`} /> : <p>No finite number.</p>;
}

function Tiles({ part, whole, chosen, onChoose }: { part: Tensor; whole: number[]; chosen: number; onChoose(tile: number): void }) {
  const canvas = useRef<HTMLCanvasElement>(null), [shared, setShared] = useState(true), [ranked, setRanked] = useState(false);
  const [h, w] = part.shape.slice(-2) as [number, number], area = h * w, count = Math.floor(part.data.length / Math.max(1, area));
  const total = whole.slice(0, -2).reduce((a, b) => a * b, 1);
  const mean = (t: number) => { let sum = 0; for (let i = 0; i < area; i++) sum += part.data[t * area + i]!; return sum / area; };
  const order = Array.from({ length: count }, (_, i) => i);
  if (ranked) { const means = order.map(mean); order.sort((a, b) => means[b]! - means[a]!); }
  const columns = count === 1 ? 1 : Math.min(8, Math.ceil(Math.sqrt(count))), edge = count === 1 ? 360 : Math.floor(384 / columns) - 4;
  const tall = count === 1 ? Math.min(360, Math.max(8, Math.round((edge * h) / w))) : edge;
  useEffect(() => {
    const c = canvas.current!.getContext("2d")!, small = document.createElement("canvas");
    small.width = w; small.height = h;
    c.imageSmoothingEnabled = false; c.clearRect(0, 0, canvas.current!.width, canvas.current!.height);
    const range = (from: number, to: number) => { let low = Infinity, high = -Infinity; for (let i = from; i < to; i++) { const v = part.data[i]!; if (v < low) low = v; if (v > high) high = v; } return [low, high] as const; };
    const all = range(0, part.data.length);
    order.forEach((t, place) => {
      const [low, high] = shared ? all : range(t * area, (t + 1) * area), picture = new ImageData(w, h), reach = Math.max(-low, high) || 1;
      for (let i = 0; i < area; i++) {
        const v = part.data[t * area + i]!, colour = all[0] < 0 ? diverging(v / reach) : sequential((v - Math.min(0, low)) / (high - Math.min(0, low) || 1));
        picture.data.set([...colour, 255], 4 * i);
      }
      small.getContext("2d")!.putImageData(picture, 0, 0);
      const x = (place % columns) * (edge + 4), y = Math.floor(place / columns) * (tall + 4);
      c.drawImage(small, x, y, edge, tall);
      if (t === chosen && count > 1) { c.strokeStyle = "#d9480f"; c.lineWidth = 2; c.strokeRect(x + 1, y + 1, edge - 2, tall - 2); }
    });
  }, [part, shared, chosen, ranked]);
  if (!count) return null;
  const pick = (e: MouseEvent) => { const place = Math.floor(e.offsetY / (tall + 4)) * columns + Math.floor(e.offsetX / (edge + 4)); if (order[place] !== undefined) onChoose(order[place]!); };
  return <figure class="tiles">
    <canvas ref={canvas} width={columns * (edge + 4)} height={Math.ceil(count / columns) * (tall + 4)} onClick={pick} role="img" aria-label={`${count} of ${total} maps of ${h} × ${w}`} />
    <figcaption>{count} of {total} {total === 1 ? "map" : "maps"} of {h} × {w}{count > 1 ? `, ${shared ? "one scale" : "each its own scale"}; number ${chosen}, mean ${number(mean(chosen))}` : ""}
      {count > 1 && <span class="options"><label><input type="checkbox" checked={shared} onChange={() => setShared(!shared)} /> one scale</label><label><input type="checkbox" checked={ranked} onChange={() => setRanked(!ranked)} /> strongest first</label></span>}</figcaption>
  </figure>;
}

function Table({ source, at, shape }: { source: Live; at: Ref; shape: number[] }) {
  const [row, setRow] = useState(0), [column, setColumn] = useState(0), [lead, setLead] = useState<number[]>([]), [part, setPart] = useState<Tensor | null>(null), [error, setError] = useState("");
  const before = shape.slice(0, -2), place = before.map((_, i) => lead[i] ?? 0), rows = shape.length > 1 ? shape.at(-2)! : 1, columns = shape.at(-1) ?? 1;
  useEffect(() => { setRow(0); setColumn(0); setLead([]); }, [at.key, at.id]);
  useEffect(() => {
    let current = true;
    const index = [...place, ...(shape.length > 1 ? [`${row}:${row + ROWS}`] : []), ...(shape.length ? [`${column}:${column + COLUMNS}`] : [])].join(",");
    source.data(at, index).then((found) => { if (current) { setPart(found); setError(""); } }).catch((fault) => { if (current) setError(fault.message); });
    return () => { current = false; };
  }, [at.key, at.id, row, column, place.join()]);
  const wide = part?.shape.at(-1) ?? 1, high = part && part.shape.length > 1 ? part.shape.at(-2)! : 1;
  return <section class="numbers"><h4>Numbers</h4>
    {error && <p class="problem">{error}</p>}
    <div class="paging">{before.map((size, axis) => <label>axis {axis} <input type="number" min={0} max={size - 1} value={place[axis]} onChange={(e) => { const next = [...place]; next[axis] = Math.max(0, Math.min(size - 1, Number(e.currentTarget.value) || 0)); setLead(next); }} /></label>)}
      {rows > ROWS && <span><button disabled={row === 0} onClick={() => setRow(row - ROWS)}>↑</button> rows {row}–{Math.min(rows, row + ROWS) - 1} of {rows} <button disabled={row + ROWS >= rows} onClick={() => setRow(row + ROWS)}>↓</button></span>}
      {columns > COLUMNS && <span><button disabled={column === 0} onClick={() => setColumn(column - COLUMNS)}>←</button> columns {column}–{Math.min(columns, column + COLUMNS) - 1} of {columns} <button disabled={column + COLUMNS >= columns} onClick={() => setColumn(column + COLUMNS)}>→</button></span>}
      <button onClick={async () => keep(await source.npy(at), at.key + ".npy")}>Save .npy</button></div>
    <table><tbody>{part && Array.from({ length: high }, (_, r) => <tr key={r}>{Array.from({ length: wide }, (_, k) => <td key={k}>{number(part.data[r * wide + k]!)}</td>)}</tr>)}</tbody></table>
  </section>;
}
