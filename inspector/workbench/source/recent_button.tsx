// Which file next? The files opened lately, below a button.
import { useState } from "preact/hooks";
import type { Models } from "./models";
import { RecentList } from "./recent_list";
import type { Live } from "./source";

export function RecentButton({ models, live }: { models: Models; live: Live }) {
  const [open, setOpen] = useState(false);
  return <span class="recent" onKeyDown={(e) => { if (e.key === "Escape" && open) { e.stopPropagation(); setOpen(false); } }}>
    <button aria-expanded={open} onClick={() => setOpen(!open)}>Recent</button>
    {open && <div class="below" onClick={(e) => { if (e.target instanceof HTMLButtonElement) setOpen(false); }}><RecentList models={models} live={live} /><p class="hint">Files named on the command line are remembered, uploads are not.</p></div>}</span>;
}
