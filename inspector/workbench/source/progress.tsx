// How far is a job? A bar with its name, and a button that stops it.
import type { JobState } from "./types";

export function Progress({ job, onStop }: { job: JobState; onStop(): void }) {
  const step = job.step;
  return <p class="progress" role="status"><span>{step ? step.what : job.what} {step ? `${step.done}${step.total ? " of " + step.total : ""}` : "…"}</span><progress {...(step?.total ? { value: step.done, max: step.total } : {})} /><button type="button" onClick={onStop}>Stop</button></p>;
}
