// What does the model answer? The best classes with their probabilities.
import { plain } from "./graph";
import { number } from "./number";

export function Answer({ run }: { run: any }) {
  const ranking = run.rankings[0];
  return <>{ranking ? <table class="answer"><tbody>{ranking.rows[0].slice(0, 5).map((row: any) => <tr key={row.index}>
      <td>{row.probability === null ? number(row.score) : (row.probability * 100).toFixed(1) + " %"}</td>
      <td>{row.probability !== null && <meter min={0} max={1} value={row.probability} />}</td><td>{plain(row.label || String(row.index))}</td></tr>)}</tbody></table>
    : <p>No output has the shape of classes.</p>}{run.notes.map((note: string) => <p class="hint">{plain(note)}</p>)}</>;
}
