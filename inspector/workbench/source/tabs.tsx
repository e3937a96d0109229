// Which view is shown? One tab each; arrows walk along them.
import type { View } from "./views";

interface Props { views: View[]; chosen: string; onChoose(id: string): void }

export function Tabs({ views, chosen, onChoose }: Props) {
  const keys = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0, list = event.currentTarget as HTMLElement;
    if (!by) return;
    const next = (views.findIndex((view) => view.id === chosen) + by + views.length) % views.length;
    onChoose(views[next]!.id); (list.children[next] as HTMLElement).focus(); event.preventDefault();
  };
  return <div role="tablist" aria-label="Views" class="tabs" onKeyDown={keys}>{views.map((view) =>
    <button key={view.id} role="tab" aria-selected={view.id === chosen} tabIndex={view.id === chosen ? 0 : -1} onClick={() => onChoose(view.id)}>{view.title}</button>)}</div>;
}
