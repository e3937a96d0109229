// What is the chosen pair? Its state and reasons, attributes of both, and weights and activations of both.
import { Answer } from "./answer";
import type { Bench } from "./bench";
import { CompareFacts } from "./compare_facts";
import type { Match } from "./compare_match";
import { rankOf, stateOf, STATES, type Kind } from "./compare_states";
import { CompareTensors } from "./compare_tensors";
import type { Chosen } from "./compare_view";
import { plain, type Graph } from "./graph";
import { Swatch } from "./swatch";

interface Props { bench: Bench; match: Match; chosen: Chosen }

export function PairPanel({ bench, match, chosen }: Props) {
  const sides = [match.a, match.b] as const, kinds = sides.map((side, s) => (chosen[s]! < 0 ? null : side.kinds[chosen[s]!] ?? null));
  if (chosen[0] < 0 && chosen[1] < 0) {
    const at = match.rows.find((row) => row.names && row.at! >= 0 && row.names[0] === bench.weight)?.at;
    return at === undefined ? <Overview match={match} runs={bench.compared?.runs ?? null} /> : <Weights {...{ bench, match }} at={[at]} />;
  }
  const kind = (kinds.filter(Boolean) as Kind[]).sort((p, q) => rankOf(p) - rankOf(q))[0];
  const names = sides.map(({ graph }, s) => nameOf(graph, chosen[s]!)), records = sides.map((side, s) => side.records[chosen[s]!] ?? null);
  const record = records[0] ?? records[1], reasons = [...new Set(records.flatMap((row) => row?.reasons ?? []))];
  const inside = chosen.some((id, s) => id >= sides[s]!.graph.items.length);
  return <><h2>{names[0] || "nothing in A"} <span class="faint">↔</span> {names[1] || "nothing in B"}</h2>
    {kind && <p class="state"><Swatch fill={stateOf(kind).fill || "var(--block)"} />{inside ? "inside: " : ""}{stateOf(kind).title}</p>}
    {reasons.map((why) => <p key={why}>{plain(why)}</p>)}
    {record?.first_divergence && <p class="first"><b>The values part here first.</b> {plain(match.record.first_divergence?.reason ?? "")}</p>}
    {inside ? <Inside match={match} chosen={chosen} /> : <CompareFacts a={match.a.graph} b={match.b.graph} chosen={chosen} strict={kind === "node"} />}
    {record && record.pair !== null && <Evidence pair={match.record.pairs[record.pair]!} />}
    <Weights {...{ bench, match }} at={record?.weights?.at ?? []} />
    <Values {...{ bench, match, chosen }} at={record?.activation?.at ?? -1} />
  </>;
}

function Evidence({ pair }: { pair: Match["record"]["pairs"][number] }) {
  return <p class="hint">Matched by {pair.evidence.join(", ") || "place"}, confidence {(pair.confidence * 100).toFixed(0)} %{pair.ambiguous ? "; another node would do as well" : ""}.</p>;
}

function nameOf(graph: Graph, id: number): string {
  if (id < 0) return "";
  const item = graph.items[id];
  return item ? plain(item.node?.op ?? item.label) : plain(graph.doc.blocks[id - graph.items.length]![1] || "block");
}

function Overview({ match, runs }: { match: Match; runs: { a: any; b: any } | null }) {
  return <><h2>Nothing is selected</h2><table class="rows"><tbody>{STATES.filter((row) => match.counts.get(row.kind)).map((row) =>
    <tr key={row.kind}><th scope="row"><Swatch fill={row.fill || "var(--block)"} />{row.title}</th><td>{match.counts.get(row.kind)!.toLocaleString("en")}</td></tr>)}</tbody></table>
    {runs && [["A", runs.a], ["B", runs.b]].map(([name, run]) => run.rankings.length > 0 && <><h3>{name} answers</h3><Answer run={{ ...run, notes: [] }} /></>)}
    <p class="hint">Click a box or a row to see attributes, weights and activations of both. Double click opens a block on both sides; drag or scroll to move, Ctrl and scroll to zoom.</p></>;
}

/** How many operators of each state are in a chosen block, on either side. */
function Inside({ match, chosen }: { match: Match; chosen: Chosen }) {
  const counts = ([match.a, match.b] as const).map(({ graph, kinds }, s) => {
    const found = new Map<Kind, number>(), block = chosen[s]! - graph.items.length;
    if (block >= 0) graph.items.forEach((item, i) => { for (let b = item.block; b > 0; b = graph.doc.blocks[b]![3]) if (b === block && kinds[i]) found.set(kinds[i]!, (found.get(kinds[i]!) ?? 0) + 1); });
    return found;
  });
  return <table class="beside"><thead><tr><td /><th scope="col">A</th><th scope="col">B</th></tr></thead><tbody>{STATES.filter((row) => counts.some((found) => found.has(row.kind))).map((row) =>
    <tr key={row.kind}><th scope="row"><Swatch fill={row.fill || "var(--block)"} />{row.title}</th>{counts.map((found) => <td>{found.get(row.kind) ?? ""}</td>)}</tr>)}</tbody></table>;
}

function Weights({ bench, match, at }: { bench: Bench; match: Match; at: number[] }) {
  if (!at.length) return null;
  const held = [match.a, match.b].map(({ graph }) => new Set(graph.doc.weights.map((row) => row[0])));
  return <><h3>Weights</h3>{at.map((place) => {
    const row = match.record.weights[place]!;
    const a = held[0]!.has(row.a) ? { id: bench.digest, key: row.a } : null, b = held[1]!.has(row.b) ? { id: bench.other, key: row.b } : null;
    return <CompareTensors key={place} live={bench.live} held={bench.fixed?.held.comparison?.weights[place]} kind="models" dark={bench.dark} {...{ a, b }} order={row.order} figures={row.difference}
      title={row.a === row.b ? row.a : `${row.a} ↔ ${row.b}`} said={[row.state, row.detail].filter(Boolean).join(": ")} />;
  })}</>;
}

function Values({ bench, match, chosen, at }: Props & { at: number }) {
  const runs = bench.compared?.runs, row = match.record.activations[at] ?? null;
  const valueOf = (graph: Graph, id: number) => { const item = graph.items[id]; return item && item.value >= 0 ? graph.doc.values[item.value]![0] : ""; };
  const keys = [row?.a ?? valueOf(match.a.graph, chosen[0]), row?.b ?? valueOf(match.b.graph, chosen[1])];
  if (!keys[0] && !keys[1]) return null;
  if (!runs) return <><h3>Activations</h3><p class="hint">They were not compared; the notes above say why.</p></>;
  return <><h3>Activations</h3><CompareTensors live={bench.live} held={bench.fixed?.held.comparison?.values[at]} kind="runs" dark={bench.dark} a={keys[0] ? { id: runs.a.run, key: keys[0] } : null} b={keys[1] ? { id: runs.b.run, key: keys[1] } : null}
    order={row?.order ?? []} figures={row?.difference ?? null} title={keys[0] === keys[1] ? keys[0]! : keys.filter(Boolean).join(" ↔ ")}
    again={bench.live ? () => bench.setCompared(null) : undefined} said={row ? (row.agrees ? `agree within ${row.limit.toPrecision(2)}` : "differ") : ""} /></>;
}
