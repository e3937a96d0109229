// How is one parameter of a question filled in? By what its schema says it takes.
import type { Live } from "./source";
import type { OpenModel, Property } from "./types";

/** What a parameter takes when it is given. */
export const inner = (property: Property): Property => { const arm = property.anyOf?.find((p) => p.type !== "null") ?? property; return arm.items ? { ...arm.items, items: arm.items } : arm; };

export function Field({ name, property, value, required, source, models, onChange }: { name: string; property: Property; value: unknown; required: boolean; source: Live; models: OpenModel[]; onChange(v: unknown): void }) {
  const kind = property["x-kind"], type = inner(property), many = Boolean(type.items), title = property.description ?? "";
  if (kind === "output" && !required) return null;
  const text = many ? ((value as string[] | undefined) ?? []).join(" ; ") : (value as string | undefined) ?? property.default ?? "";
  const set = (t: string) => onChange(many ? (t.trim() ? t.split(";").map((p) => p.trim()).filter(Boolean) : undefined) : type.type === "integer" || type.type === "number" ? (t === "" ? undefined : Number(t)) : t);
  const named = { "aria-label": name.replace(/_/g, " "), "aria-description": title };
  let control;
  if (kind === "model") control = <select {...named} value={String(value ?? "")} onChange={(e) => onChange(e.currentTarget.value || undefined)}><option value="">–</option>{models.map((m) => <option key={m.model} value={m.model}>{m.name}</option>)}</select>;
  else if (type.enum) control = <select {...named} value={String(text)} onChange={(e) => set(e.currentTarget.value)}>{!required && property.default == null && <option value="">–</option>}{type.enum.map((v) => <option key={v}>{v}</option>)}</select>;
  else if (type.type === "boolean") control = <input {...named} type="checkbox" checked={Boolean(value ?? property.default)} onChange={(e) => onChange(e.currentTarget.checked)} />;
  else if (type.type === "integer" || type.type === "number") control = <input {...named} type="number" step="any" value={String(text)} required={required} onInput={(e) => set(e.currentTarget.value)} />;
  else control = <input {...named} type="text" value={String(text)} required={required} placeholder={many ? "several: a ; b" : ""} onInput={(e) => set(e.currentTarget.value)} />;
  return <label class="field" title={title}><span>{name.replace(/_/g, " ")}{required ? " *" : ""}</span>{control}
    {kind === "file" && <input type="file" aria-label={`Upload for ${name}`} onChange={async (e) => { const chosen = e.currentTarget.files?.[0]; if (chosen) { const id = "file:" + (await source.upload(chosen)); onChange(many ? [id] : id); } }} />}<small>{title}</small></label>;
}
