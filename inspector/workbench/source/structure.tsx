// The structure: how far it is open, what is lit up, how it is coloured, and the drawing.
import type { Bench } from "./bench";
import { Drawing } from "./drawing";
import type { Lineage } from "./lineage";
import { overlaysFor } from "./overlays";

interface Props { bench: Bench }

export function Structure({ bench }: Props) {
  const { graph, openTo } = bench, deepest = Math.max(...graph.depth);
  return <section class="middle" aria-label="Structure"><div class="bar"><span>Open</span><button onClick={() => openTo(1)}>None</button>
    {[2, 3].filter((d) => d <= deepest).map((d) => <button key={d} aria-label={`${d - 1} deep`} title={`Open ${d - 1} deep`} onClick={() => openTo(d)}>{d - 1}</button>)}<button onClick={() => openTo(Infinity)}>All</button>
    <button aria-pressed={bench.folded} title="Tall drawings go on in columns, or stay in one" onClick={() => bench.fold(!bench.folded)}>Columns</button>
    <label>Light up <select value={bench.traced} onChange={(e) => bench.setTraced(e.currentTarget.value as Lineage)}><option value="">neighbours</option><option value="before">what leads here</option><option value="after">what follows</option><option value="both">both ways</option></select></label>
    <label>Colour <select value={bench.overlay} onChange={(e) => bench.setOverlay(e.currentTarget.value)}><option value="family">operator family</option>{overlaysFor(bench).map((row) => <option key={row.id} value={row.id}>{row.title}</option>)}</select></label></div>
    <Drawing bench={bench} /></section>;
}
