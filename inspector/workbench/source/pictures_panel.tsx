// Which pictures does a report hold?
import { Answer } from "./answer";
import type { Bench } from "./bench";

export function PicturesPanel({ bench }: { bench: Bench }) {
  const held = bench.fixed!.held;
  return <section><h2>Pictures</h2>{bench.run && <Answer run={bench.run} />}
    {held.pictures.map((p) => <figure key={p.title}><img src={p.address} alt={p.title} /><figcaption>{p.title}. {p.caption}</figcaption></figure>)}
    {!held.pictures.length && <p>This report holds no pictures; make it with --input.</p>}{held.notes.map((note) => <p class="hint">{note}</p>)}</section>;
}
