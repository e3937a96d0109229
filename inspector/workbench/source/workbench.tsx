// The whole page: header, what went wrong, and the shown model; files dropped on it are opened or run.
import { useMemo, useState } from "preact/hooks";
import { Desk } from "./desk";
import { Empty } from "./empty";
import { INPUT } from "./files";
import { build } from "./graph";
import { Header } from "./header";
import { Lost } from "./lost";
import { useDark } from "./mode";
import { useModels } from "./models";
import { Progress } from "./progress";
import type { Fixed, Source } from "./source";

export function Workbench({ source, fixed }: { source: Source; fixed: Fixed | null }) {
  const [dark, swap] = useDark(), models = useModels(source, fixed), [dropped, setDropped] = useState<File | null>(null);
  const graph = useMemo(() => (models.doc ? build(models.doc) : null), [models.doc]);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (!file || !models.live) return;
    if (INPUT.test(file.name) && graph) setDropped(file); else void models.open(file);
  };
  return <div class="app" onDragOver={(e) => e.preventDefault()} onDrop={drop}>
    <Header models={models} dark={dark} onDark={swap} />
    {models.live && <Lost live={models.live} />}
    {models.error && <p class="problem banner" role="alert">{models.error}</p>}
    {models.job && <div class="banner"><Progress job={models.job} onStop={models.stop} /></div>}
    {graph ? <Desk key={models.digest} {...{ graph, models, source, fixed, dark, dropped }} /> : <Empty models={models} />}
  </div>;
}
