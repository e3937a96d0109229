// What is open? Name, format and size of the model; the other open models; opening a file; light and dark.
import type { Models } from "./models";
import { plain } from "./graph";
import { short } from "./painter";
import { RecentButton } from "./recent_button";

interface Props { models: Models; dark: boolean; onDark(): void }

export function Header({ models, dark, onDark }: Props) {
  const { doc, live } = models;
  const open = (event: Event) => { const file = (event.currentTarget as HTMLInputElement).files?.[0]; if (file) void models.open(file); };
  return <header><strong class="name">{doc ? plain(doc.name) : "Model inspector"}</strong>
    {doc && <span class="facts">{doc.origin.format} · opset {Object.values(doc.opsets)[0]} · {doc.nodes.length.toLocaleString("en")} operators · {short(doc.parameters)} parameters{doc.obstacles.length ? " · cannot be executed" : ""}</span>}
    <span class="right">
      {live && models.models.length > 1 && <select aria-label="Model" value={models.digest} onChange={(e) => models.choose(e.currentTarget.value)}>{models.models.map((m) => <option key={m.model} value={m.model}>{m.name}</option>)}</select>}
      {live && <label class="button">Open file<input type="file" onChange={open} /></label>}
      {live && <RecentButton models={models} live={live} />}
      <button aria-label="Switch between dark and light" onClick={onDark}>{dark ? "Light" : "Dark"}</button>
    </span></header>;
}
