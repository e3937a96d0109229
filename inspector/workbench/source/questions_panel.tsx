// What else can be asked? Every action, with the form that its parameters make.
import { useState } from "preact/hooks";
import { ActionForm } from "./action_form";
import type { Bench } from "./bench";
import { inner } from "./field";

export function QuestionsPanel({ bench }: { bench: Bench }) {
  const { schemas, digest, models, input } = bench, [name, setName] = useState("summarize"), schema = schemas[name], takes = schema?.properties.input && inner(schema.properties.input);
  return <section><h2>Every question</h2>
    <label class="field"><span>question</span><select value={name} onChange={(e) => setName(e.currentTarget.value)}>{Object.keys(schemas).map((key) => <option key={key}>{key}</option>)}</select></label>
    {schema && <ActionForm key={name} {...{ name, schema, digest, models }} source={bench.live!} preset={input && takes ? { input: takes.items ? ["file:" + input] : "file:" + input } : {}} />}</section>;
}
