// Which models are open, and which one is shown? The server's list, the chosen document, and opening a file.
import { useEffect, useState } from "preact/hooks";
import { readAddress } from "./address";
import { Live, type Fixed, type Source } from "./source";
import type { JobState, ModelDocument, OpenModel, Schema } from "./types";

interface Held { models: OpenModel[]; first: string[]; input: string }

export interface Models {
  live: Live | null; models: OpenModel[]; schemas: Record<string, Schema>;
  /** The shown model's digest and document; null while it is fetched. */ digest: string; doc: ModelDocument | null;
  /** The input that the server was started with, or "". */ first: string; /** The models that it was started with. */ given: string[];
  /** A file is being opened. */ job: JobState | null; error: string; settled: boolean;
  choose(digest: string): void; open(file: File): Promise<void>; /** Open a file, or one opened lately by its id, without showing it; "" where that failed. */ add(file: File | string): Promise<string>; /** Open one of the files opened lately. */ again(recent: string): Promise<void>; stop(): void; fail(text: string): void;
}

export function useModels(source: Source, fixed: Fixed | null): Models {
  const live = source instanceof Live ? source : null;
  const [held, setHeld] = useState<Held>({ models: [], first: [], input: "" });
  const [digest, setDigest] = useState(""), [doc, setDoc] = useState<ModelDocument | null>(fixed?.held.model ?? null);
  const [error, setError] = useState(""), [job, setJob] = useState<JobState | null>(null);
  const [schemas, setSchemas] = useState<Record<string, Schema>>({}), [settled, setSettled] = useState(!live);
  const refresh = async () => { const found = await live!.json<Held>("models"); setHeld(found); return found; };
  useEffect(() => {
    if (!live) return;
    const start = async () => {
      const found = await refresh(), wanted = readAddress().model;
      const known = found.models.find((m) => m.model === wanted)?.model ?? found.first[0] ?? found.models[0]?.model ?? "";
      setDigest(known); setSettled(true);
      if (!known) document.body.dataset.ready = "empty";
      setSchemas(await live.schemas());
    };
    start().catch((fault) => { setError(fault.message); setSettled(true); document.body.dataset.ready = "problem"; });
  }, []);
  useEffect(() => {
    if (!live || !digest) return;
    let wanted = true;
    setDoc(null); setError("");
    live.json<ModelDocument>("models/" + digest).then((found) => wanted && setDoc(found)).catch((fault) => wanted && setError(fault.message));
    return () => { wanted = false; };
  }, [digest]);
  const begin = async (asked: () => Promise<{ file: string } | { recent: string }>) => {
    let made = "";
    setError("");
    try {
      made = (await live!.work("models", await asked(), setJob)).result.model;
      await refresh();
    } catch (fault) { setError((fault as Error).message); }
    setJob(null);
    return made;
  };
  const add = (file: File | string) => begin(async () => (typeof file === "string" ? { recent: file } : { file: await live!.upload(file) }));
  const open = async (file: File) => { const made = await add(file); if (made) setDigest(made); };
  const again = async (recent: string) => { const made = await add(recent); if (made) setDigest(made); };
  return { live, models: held.models, schemas, digest, doc, first: held.input, given: held.first, job, error, settled,
    choose: setDigest, open, add, again, stop: () => { if (job) void live!.stop(job.job); }, fail: setError };
}
