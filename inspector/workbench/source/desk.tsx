// One model on the page: outline, drawing, and the chosen view.
import { useBench } from "./bench";
import type { Graph } from "./graph";
import type { Models } from "./models";
import { Outline } from "./outline";
import type { Fixed, Source } from "./source";
import { Structure } from "./structure";
import { Tabs } from "./tabs";
import { viewsFor } from "./views";

interface Props { graph: Graph; models: Models; source: Source; fixed: Fixed | null; dark: boolean; dropped: File | null }

export function Desk(props: Props) {
  const bench = useBench(props), views = viewsFor(bench), view = views.find((row) => row.id === bench.view) ?? views[0]!;
  const Chosen = view.component;
  const panel = <div class="panel" role="tabpanel" aria-label={view.title}><Chosen bench={bench} /></div>;
  const tabs = <Tabs views={views} chosen={view.id} onChoose={bench.setView} />;
  if (view.place === "wide") return <main class="bench wide"><Outline bench={bench} /><section class="middle" aria-label={view.title}>{tabs}{panel}</section></main>;
  return <main class="bench"><Outline bench={bench} /><Structure bench={bench} /><aside>{tabs}{panel}</aside></main>;
}
