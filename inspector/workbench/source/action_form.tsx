// How is a question asked? A form read from the action's schema, its progress, and its answer.
import { useEffect, useState } from "preact/hooks";
import { AnswerView } from "./answer_view";
import { Field } from "./field";
import { LiveFrame } from "./live_frame";
import { Progress } from "./progress";
import type { Live } from "./source";
import type { JobState, OpenModel, Schema } from "./types";

interface Props {
  name: string; schema: Schema; source: Live; digest: string; models: OpenModel[]; preset: Record<string, unknown>; hide?: string[];
  /** Fold what may be left out. */ folded?: boolean;
  /** Takes the answer instead of showing it here. */ onAnswer?(answer: JobState | null): void;
}

export function ActionForm({ name, schema, source, digest, models, preset, hide = [], folded = false, onAnswer }: Props) {
  const [given, setGiven] = useState<Record<string, unknown>>({}), [job, setJob] = useState<JobState | null>(null), [answer, setAnswer] = useState<JobState | null>(null), [error, setError] = useState("");
  useEffect(() => { setGiven({}); setAnswer(null); setError(""); setJob(null); }, [name]);
  const first = Object.keys(schema.properties).find((key) => schema.properties[key]!["x-kind"] === "model");
  const values: Record<string, unknown> = { ...(first ? { [first]: digest } : {}), ...preset, ...given }, told = onAnswer ?? setAnswer;
  const ask = async (e: Event) => {
    e.preventDefault(); setError(""); told(null);
    const call = Object.fromEntries(Object.entries(values).filter(([key, v]) => key in schema.properties && v !== "" && v !== undefined && v !== null));
    try { told(await source.work("actions/" + name, call, setJob)); setJob(null); } catch (fault) { setError((fault as Error).message); setJob((last) => last && { ...last, state: last.state === "cancelled" ? "cancelled" : "failed" }); }
  };
  const busy = job?.state === "waiting" || job?.state === "running";
  const fields = Object.entries(schema.properties).filter(([key]) => !hide.includes(key)).map(([key, property]) => <Field key={key} {...{ name: key, property, source, models }} value={values[key]} required={schema.required.includes(key)} onChange={(v) => setGiven({ ...given, [key]: v })} />);
  return <form class="action" onSubmit={ask} aria-label={name}><p>{schema.description}</p>
    {folded ? <details><summary>Options</summary>{fields}</details> : fields}
    <button class="main" disabled={busy}>Run {name}</button>
    {busy && <Progress job={job!} onStop={() => source.stop(job!.job)} />}{job?.step?.picture && <LiveFrame key={job.job} job={job} source={source} />}
    {error && <p class="problem" role="alert">{error}</p>}
    {answer && <AnswerView answer={answer} source={source} />}
  </form>;
}
