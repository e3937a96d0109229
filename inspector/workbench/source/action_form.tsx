// How is a question asked? A form read from the action's schema, its progress, and its answer.
import { useEffect, useState } from "preact/hooks";
import { plain } from "./graph";
import { Live } from "./source";
import { keep } from "./keep";
import { Progress } from "./progress";
import type { JobState, OpenModel, Property, Schema } from "./types";

interface Props { name: string; schema: Schema; source: Live; digest: string; models: OpenModel[]; preset: Record<string, unknown>; hide?: string[] }
const inner = (property: Property): Property => { const arm = property.anyOf?.find((p) => p.type !== "null") ?? property; return arm.items ? { ...arm.items, items: arm.items } : arm; };

export function ActionForm({ name, schema, source, digest, models, preset, hide = [] }: Props) {
  const [given, setGiven] = useState<Record<string, unknown>>({}), [job, setJob] = useState<JobState | null>(null), [answer, setAnswer] = useState<JobState | null>(null), [error, setError] = useState("");
  useEffect(() => { setGiven({}); setAnswer(null); setError(""); }, [name]);
  const first = Object.keys(schema.properties).find((key) => schema.properties[key]!["x-kind"] === "model");
  const values: Record<string, unknown> = { ...(first ? { [first]: digest } : {}), ...preset, ...given };
  const ask = async (e: Event) => {
    e.preventDefault(); setError(""); setAnswer(null);
    const call = Object.fromEntries(Object.entries(values).filter(([key, v]) => key in schema.properties && v !== "" && v !== undefined && v !== null));
    try { setAnswer(await source.work("actions/" + name, call, setJob)); } catch (fault) { setError((fault as Error).message); }
    setJob(null);
  };
  return <form class="action" onSubmit={ask} aria-label={name}><p>{schema.description}</p>
    {Object.entries(schema.properties).filter(([key]) => !hide.includes(key)).map(([key, property]) => <Field key={key} {...{ name: key, property, source, models }} value={values[key]} required={schema.required.includes(key)} onChange={(v) => setGiven({ ...given, [key]: v })} />)}
    <button class="main" disabled={job !== null}>Run {name}</button>
    {job && <Progress job={job} onStop={() => source.stop(job.job)} />}{error && <p class="problem" role="alert">{error}</p>}
    {answer && <AnswerView answer={answer} source={source} />}
  </form>;
}

function Field({ name, property, value, required, source, models, onChange }: { name: string; property: Property; value: unknown; required: boolean; source: Live; models: OpenModel[]; onChange(v: unknown): void }) {
  const kind = property["x-kind"], type = inner(property), many = Boolean(type.items), title = property.description ?? "";
  if (kind === "output" && !required) return null;
  const text = many ? ((value as string[] | undefined) ?? []).join(" ; ") : (value as string | undefined) ?? property.default ?? "";
  const set = (t: string) => onChange(many ? (t.trim() ? t.split(";").map((p) => p.trim()).filter(Boolean) : undefined) : type.type === "integer" || type.type === "number" ? (t === "" ? undefined : Number(t)) : t);
  let control;
  if (kind === "model") control = <select value={String(value ?? "")} onChange={(e) => onChange(e.currentTarget.value || undefined)}><option value="">–</option>{models.map((m) => <option key={m.model} value={m.model}>{m.name}</option>)}</select>;
  else if (type.enum) control = <select value={String(text)} onChange={(e) => set(e.currentTarget.value)}>{!required && property.default == null && <option value="">–</option>}{type.enum.map((v) => <option key={v}>{v}</option>)}</select>;
  else if (type.type === "boolean") control = <input type="checkbox" checked={Boolean(value ?? property.default)} onChange={(e) => onChange(e.currentTarget.checked)} />;
  else if (type.type === "integer" || type.type === "number") control = <input type="number" step="any" value={String(text)} required={required} onInput={(e) => set(e.currentTarget.value)} />;
  else control = <input type="text" value={String(text)} required={required} placeholder={many ? "several: a ; b" : ""} onInput={(e) => set(e.currentTarget.value)} />;
  return <label class="field" title={title}><span>{name.replace(/_/g, " ")}{required ? " *" : ""}</span>{control}
    {kind === "file" && <input type="file" aria-label={`Upload for ${name}`} onChange={async (e) => { const chosen = e.currentTarget.files?.[0]; if (chosen) { const id = "file:" + (await source.upload(chosen)); onChange(many ? [id] : id); } }} />}<small>{title}</small></label>;
}

export function AnswerView({ answer, source }: { answer: JobState; source: Live }) {
  return <div class="answers">{answer.figures?.map(([figure, title, caption]) => <Picture key={answer.job + figure} source={source} path={`jobs/${answer.job}/figures/${figure}`} title={title || figure} caption={caption} />)}
    {answer.files?.map((file) => <button type="button" onClick={async () => keep(await source.blob("files/" + file.file), file.name)}>Save {file.name}</button>)}
    {answer.text && <pre>{answer.text}</pre>}</div>;
}

export function Picture({ source, path, title, caption }: { source: Live; path: string; title: string; caption: string }) {
  const [address, setAddress] = useState("");
  useEffect(() => { let made = ""; source.blob(path).then((blob) => setAddress(made = URL.createObjectURL(blob))).catch(() => setAddress("")); return () => URL.revokeObjectURL(made); }, [path]);
  return <figure>{address && <img src={address} alt={title} />}<figcaption>{plain(caption)}</figcaption></figure>;
}
