// The page: one selection, seen from several sides.
import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { ActionForm } from "./action_form";
import { ActivationsPanel, Answer } from "./activations_panel";
import { AttributionPanel } from "./attribution_panel";
import { build, firstOpen, plain, type Graph } from "./graph";
import { NodePanel } from "./node_panel";
import { Outline } from "./outline";
import { short, type Overlay } from "./painter";
import { Progress } from "./progress";
import { embedded, Fixed, Live, type Source } from "./source";
import { Structure } from "./structure";
import type { JobState, ModelDocument, Schema } from "./types";
import { WeightsPanel } from "./weights_panel";

const TABS = ["Node", "Weights", "Activations", "Attribution", "Compare", "More"] as const;
type Tab = (typeof TABS)[number];
interface Held { models: { model: string; name: string }[]; first: string[]; input: string }
const address = () => new URLSearchParams(location.hash.slice(1));

function App({ source, fixed }: { source: Source; fixed: Fixed | null }) {
  const live = source instanceof Live ? source : null;
  const [held, setHeld] = useState<Held>({ models: [], first: [], input: "" }), [digest, setDigest] = useState(""), [doc, setDoc] = useState<ModelDocument | null>(fixed?.held.model ?? null);
  const [error, setError] = useState(""), [job, setJob] = useState<JobState | null>(null), [schemas, setSchemas] = useState<Record<string, Schema>>({});
  const [dark, setDark] = useState(() => (localStorageOf("mode") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark");
  document.documentElement.dataset.mode = dark ? "dark" : "light"; // before any canvas reads its colours

  const refresh = async (): Promise<Held> => { const found = await live!.json<Held>("models"); setHeld(found); return found; };
  useEffect(() => {
    if (!live) return;
    refresh().then((found) => { const wanted = address().get("model"); const known = found.models.find((m) => m.model === wanted)?.model ?? found.first[0] ?? found.models[0]?.model ?? ""; setDigest(known); if (!known) document.body.dataset.ready = "empty"; })
      .then(() => live.schemas()).then(setSchemas).catch((fault) => { setError(fault.message); document.body.dataset.ready = "problem"; });
  }, []);
  useEffect(() => {
    if (!live || !digest) return;
    setDoc(null); setError("");
    live.json<ModelDocument>("models/" + digest).then(setDoc).catch((fault) => setError(fault.message));
  }, [digest]);
  const open = async (file: File) => {
    setError("");
    try { const made = await live!.work("models", { file: await live!.upload(file) }, setJob); await refresh(); setDigest(made.result.model); } catch (fault) { setError((fault as Error).message); }
    setJob(null);
  };
  const [dropped, setDropped] = useState<File | null>(null);
  const drop = (e: DragEvent) => { e.preventDefault(); const file = e.dataTransfer?.files[0]; if (!file || !live) return; if (/\.(png|jpe?g|bmp|gif|webp|tiff?|npy|npz|wav)$/i.test(file.name) && doc) setDropped(file); else void open(file); };
  const graph = useMemo(() => (doc ? build(doc) : null), [doc]);
  return <div class="app" onDragOver={(e) => e.preventDefault()} onDrop={drop}>
    <header><strong class="name">{doc ? plain(doc.name) : "Model inspector"}</strong>
      {doc && <span class="facts">{doc.origin.format} · opset {Object.values(doc.opsets)[0]} · {doc.nodes.length.toLocaleString("en")} operators · {short(doc.parameters)} parameters{doc.obstacles.length ? " · cannot be executed" : ""}</span>}
      <span class="right">{live && held.models.length > 1 && <select aria-label="Model" value={digest} onChange={(e) => setDigest(e.currentTarget.value)}>{held.models.map((m) => <option key={m.model} value={m.model}>{m.name}</option>)}</select>}
        {live && <label class="button">Open file<input type="file" onChange={(e) => { const f = e.currentTarget.files?.[0]; if (f) void open(f); }} /></label>}
        <button aria-label="Switch between dark and light" onClick={() => { setDark(!dark); try { localStorage.setItem("mode", dark ? "light" : "dark"); } catch { /* a sandbox has no storage */ } }}>{dark ? "Light" : "Dark"}</button></span></header>
    {error && <p class="problem banner" role="alert">{error}</p>}
    {job && <div class="banner"><Progress job={job} onStop={() => live!.stop(job.job)} /></div>}
    {graph ? <Bench key={digest} {...{ graph, source, live, fixed, digest, dark, schemas, dropped, error: setError }} models={held.models.map((m) => [m.model, m.name] as [string, string])} first={held.input} />
      : !error && <main class="empty">{digest || !live ? <p>Loading …</p> : <><h1>Drop a model file here</h1><p>.onnx, .pt2, .pt, .pth, .keras, .h5, .safetensors and more. Nothing leaves this machine.</p></>}</main>}
  </div>;
}

function localStorageOf(key: string): string | null { try { return localStorage.getItem(key); } catch { return null; } }

interface BenchProps { graph: Graph; source: Source; live: Live | null; fixed: Fixed | null; digest: string; dark: boolean; schemas: Record<string, Schema>; models: [string, string][]; first: string; dropped: File | null; error(text: string): void }

function Bench({ graph, source, live, fixed, digest, dark, schemas, models, first, dropped, error }: BenchProps) {
  const start = address();
  const idOf = (key: string) => graph.byKey.get(key) ?? (() => { const b = graph.doc.blocks.findIndex((row) => row[0] === key && key); return b >= 0 ? b + graph.items.length : -1; })();
  const [open, setOpen] = useState(() => firstOpen(graph)), [selected, setSelected] = useState(() => (start.get("model") === digest || fixed ? idOf(start.get("node") ?? "") : -1)), [query, setQuery] = useState(start.get("q") ?? "");
  const [found, setFound] = useState(new Set<number>()), [tab, setTab] = useState<Tab>((TABS as readonly string[]).includes(start.get("tab") ?? "") ? (start.get("tab") as Tab) : "Node"), [overlay, setOverlay] = useState<Overlay>((start.get("overlay") as Overlay) ?? "family");
  const [weight, setWeight] = useState(""), [value, setValue] = useState(""), [run, setRun] = useState<any>(fixed?.held.prediction ?? null), [input, setInput] = useState(first), [reveal, setReveal] = useState(0), [action, setAction] = useState("summarize");
  useEffect(() => { if (first) setInput(first); }, [first]);
  useEffect(() => {
    const next = new URLSearchParams();
    if (digest) next.set("model", digest);
    if (selected >= 0) next.set("node", selected < graph.items.length ? graph.items[selected]!.key : graph.doc.blocks[selected - graph.items.length]![0]);
    if (tab !== "Node") next.set("tab", tab);
    if (query) next.set("q", query);
    if (overlay !== "family") next.set("overlay", overlay);
    try { history.replaceState(null, "", "#" + next); } catch { /* a sandboxed frame has no address */ }
  }, [digest, selected, tab, query, overlay]);
  useEffect(() => {
    if (!dropped || !live) return;
    live.upload(dropped).then(async (id) => { setInput(id); setTab("Activations"); setRun((await live.work("runs", { model: digest, input: id }, () => undefined)).result); }).catch((fault) => error(fault.message));
  }, [dropped]);
  useEffect(() => { if (selected >= 0) show(selected); }, []);
  const show = (id: number) => {
    setSelected(id); setValue("");
    if (id < 0) return;
    const wanted = new Set(open);
    for (let b = id < graph.items.length ? graph.items[id]!.block : graph.doc.blocks[id - graph.items.length]![3]; b > 0; b = graph.doc.blocks[b]![3]) wanted.add(b);
    if (wanted.size !== open.size) setOpen(wanted);
    setReveal((n) => n + 1);
  };
  const pick = (id: number) => { setSelected(id); setValue(""); };
  const toggle = (b: number) => { const next = new Set(open); if (next.has(b)) next.delete(b); else next.add(b); setOpen(next); };
  const to = (depth: number) => setOpen(new Set(graph.doc.blocks.flatMap((_, b) => (graph.depth[b]! < depth ? [b] : []))));
  const deepest = Math.max(...graph.depth);
  return <main class="bench">
    <Outline {...{ graph, selected, open, query }} onQuery={setQuery} onFound={setFound} onSelect={show} onToggle={toggle} />
    <section class="middle" aria-label="Structure"><div class="bar"><span>Open</span><button onClick={() => to(1)}>None</button>{[2, 3].filter((d) => d <= deepest).map((d) => <button key={d} onClick={() => to(d)}>{d - 1} deep</button>)}<button onClick={() => to(Infinity)}>All</button>
      <label>Colour <select value={overlay} onChange={(e) => setOverlay(e.currentTarget.value as Overlay)}><option value="family">operator family</option><option value="parameters">parameters</option><option value="macs">multiply-adds</option></select></label></div>
      <Structure {...{ graph, open, selected, found, overlay, dark, reveal }} onSelect={pick} onToggle={toggle} /></section>
    <aside><div role="tablist" class="tabs">{TABS.filter((name) => live || !["Compare", "More"].includes(name)).map((name) => <button key={name} role="tab" aria-selected={name === tab} onClick={() => setTab(name)}>{name}</button>)}</div>
      <div class="panel" role="tabpanel" aria-label={tab}>
        {tab === "Node" && <NodePanel {...{ graph, selected, source, digest }} onSelect={show} onWeight={(key) => { setWeight(key); setTab("Weights"); }} onValue={(key) => { setValue(key); setTab("Activations"); }} />}
        {tab === "Weights" && <WeightsPanel {...{ graph, source, digest, selected, dark }} chosen={weight} onChoose={setWeight} />}
        {tab === "Activations" && <ActivationsPanel {...{ graph, source, digest, selected, value, dark, run }} first={input} onRun={setRun} onInput={setInput} onValue={setValue} />}
        {tab === "Attribution" && (live ? <AttributionPanel {...{ source: live, digest, models, schemas, input, run }} /> : <Pictures fixed={fixed!} run={run} />)}
        {tab === "Compare" && live && (schemas.compare ? <section><h2>Compare</h2>{models.length < 2 && <p class="hint">Open a second file to compare with.</p>}<ActionForm name="compare" schema={schemas.compare} source={live} {...{ digest, models }} hide={["a", "json", "output"]} preset={{ b: models.find(([d]) => d !== digest)?.[0] }} /></section> : <p>Comparing is not part of this version.</p>)}
        {tab === "More" && live && <section><h2>Every question</h2><label class="field"><span>question</span><select value={action} onChange={(e) => setAction(e.currentTarget.value)}>{Object.keys(schemas).map((name) => <option key={name}>{name}</option>)}</select></label>{schemas[action] && <ActionForm key={action} name={action} schema={schemas[action]!} source={live} {...{ digest, models }} preset={input ? { input: ["file:" + input] } : {}} />}</section>}
      </div></aside>
  </main>;
}

function Pictures({ fixed, run }: { fixed: Fixed; run: any }) {
  return <section><h2>Pictures</h2>{run && <Answer run={run} />}{fixed.held.pictures.map((p) => <figure key={p.title}><img src={p.address} alt={p.title} /><figcaption>{p.title}. {p.caption}</figcaption></figure>)}
    {!fixed.held.pictures.length && <p>This report holds no pictures; make it with --input.</p>}{fixed.held.notes.map((note) => <p class="hint">{note}</p>)}</section>;
}

const data = await embedded(), fixed = data ? new Fixed(data) : null;
render(<App source={fixed ?? new Live()} fixed={fixed} />, document.getElementById("page")!);
