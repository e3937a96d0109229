// Where do the data come from? From the server with a token, or from the page's own file.
import type { ComparisonRecord } from "./compare_match";
import type { JobState, Maps, ModelDocument, Schema, Summary, Tensor } from "./types";

export interface Picture { title: string; caption: string; address: string }
export interface Embedded { model: ModelDocument; weights: Record<string, Summary>; values: Record<string, Summary>; pictures: Picture[]; prediction: any; notes: string[]; comparison: HeldPair | null }
/** Of each pair of tensors A, B and, where there is one, B − A. */ type HeldStatistics = (Summary[] | null)[];
/** What a report holds of a second model. */
export interface HeldPair { model: ModelDocument; record: ComparisonRecord; runs: { a: any; b: any } | null; weights: HeldStatistics; values: HeldStatistics }
export class Told extends Error {}
/** A tensor; `order` are its axes in another order, `minus` and `minusKey` the model or run and the tensor that is taken from it. */
export interface Ref { kind: "models" | "runs" | "jobs"; id: string; key: string; order?: string; minus?: string; minusKey?: string }

export interface Source {
  live: boolean;
  /** Its figures and pictures; no pictures where it holds no numbers, or only figures were kept. `ranked` is the model or run whose strongest maps come first, or "". */ look(ref: Ref, ranked: string): Promise<{ summary: Summary; maps: Maps | null }>;
}

const ARRAYS: Record<string, any> = { float32: Float32Array, float64: Float64Array, int8: Int8Array, int16: Int16Array, int32: Int32Array,
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array };

async function tensorIn(answer: Response): Promise<Tensor> {
  const raw = new ARRAYS[answer.headers.get("x-dtype")!](await answer.arrayBuffer()), shape = answer.headers.get("x-shape")!;
  return { data: typeof raw[0] === "bigint" ? Float64Array.from(raw, Number) : raw, shape: shape ? shape.split(",").map(Number) : [], stored: answer.headers.get("x-stored")! };
}

const numbersIn = (answer: Response, header: string) => (answer.headers.get(header) ?? "").split(",").filter(Boolean).map(Number);
const mapsIn = async (answer: Response): Promise<Maps> => ({ ...(await tensorIn(answer)), maps: numbersIn(answer, "x-maps"), order: numbersIn(answer, "x-order") });

export class Live implements Source {
  live = true;
  /** Told when the server is lost, and when it is back. */ onLost: (lost: boolean) => void = () => undefined;
  constructor(private readonly token: string) {}

  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    let answer: Response;
    try {
      answer = await fetch("/api/" + path, { ...init, headers: { ...init.headers, authorization: "Bearer " + this.token } });
      this.onLost(false);
    } catch {
      this.onLost(true);
      throw new Told("The server does not answer. Start it again with `inspector open`, then open the address it shows.");
    }
    if (!answer.ok) throw new Told((await answer.json().catch(() => ({ error: answer.statusText }))).error);
    return answer;
  }

  async json<T>(path: string, body?: unknown): Promise<T> {
    return (await this.ask(path, body === undefined ? {} : { method: "POST", body: JSON.stringify(body) })).json();
  }

  private address({ kind, id, key, order = "", minus = "", minusKey = "" }: Ref, what: string, more: Record<string, string> = {}): string {
    return `tensors/${kind}/${id}/${what}?${new URLSearchParams({ key, order, minus, minus_key: minusKey, ...more })}`;
  }

  summary(ref: Ref): Promise<Summary> { return this.json(this.address(ref, "summary")); }

  async look(ref: Ref, ranked: string): Promise<{ summary: Summary; maps: Maps | null }> {
    const answer = await this.ask(this.address(ref, "look", { ranked })), summary: Summary = JSON.parse(answer.headers.get("x-summary")!);
    return { summary, maps: summary.counts.length ? await mapsIn(answer) : null };
  }

  /** Its first maps, or those that are strongest in the model or run `ranked`. */
  async maps(ref: Ref, ranked: string): Promise<Maps> { return mapsIn(await this.ask(this.address(ref, "maps", { ranked }))); }
  async data(ref: Ref, index: string): Promise<Tensor> { return tensorIn(await this.ask(this.address(ref, "data", { index }))); }
  async blob(path: string): Promise<Blob> { return (await this.ask(path)).blob(); }
  npy(ref: Ref): Promise<Blob> { return this.blob(this.address(ref, "npy")); }
  remove(path: string): Promise<Response> { return this.ask(path, { method: "DELETE" }); }
  schemas(): Promise<Record<string, Schema>> { return this.json("actions"); }

  async upload(file: File): Promise<string> {
    const answer = await this.ask("files?name=" + encodeURIComponent(file.name), { method: "POST", body: file });
    return (await answer.json()).file;
  }

  /** Start a job, tell its steps, and give its last state. */
  async work(path: string, body: unknown, told: (state: JobState) => void): Promise<JobState> {
    const job = await this.json<JobState>(path, body);
    told(job);
    const reader = (await this.ask(`jobs/${job.job}/events`)).body!.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read().catch(() => { this.onLost(true); throw new Told("The server went away while it worked on this. Once it is back, give it again what was uploaded or run."); });
      if (done) break;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop()!;
      for (const part of parts) told(JSON.parse(part.replace(/^data: /, "")));
    }
    const last = await this.json<JobState>(`jobs/${job.job}`);
    told(last);
    if (last.state !== "done") throw new Told(last.state === "cancelled" ? "Stopped." : last.error);
    return last;
  }

  stop(job: string): Promise<Response> { return this.ask(`jobs/${job}`, { method: "DELETE" }); }
}

export class Fixed implements Source {
  live = false;
  constructor(readonly held: Embedded) {}
  async look(ref: Ref): Promise<{ summary: Summary; maps: null }> {
    const summary = (ref.kind === "models" ? this.held.weights : this.held.values)[ref.key];
    if (!summary) throw new Told("This report does not hold this tensor; `inspector open` shows it.");
    return { summary, maps: null };
  }
}

export async function embedded(): Promise<Embedded | null> {
  const found = document.getElementById("data");
  if (!found?.textContent) return null;
  const bytes = Uint8Array.from(atob(found.textContent), (c) => c.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(plain).text());
}
