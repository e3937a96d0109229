// What does the server say about a model? The rows of `inspector/workbench/document.py`.

export type Family = { name: string; label: string; fill: string; text: string; border: string };
export type ValueRow = [key: string, dtype: string, shape: string];
export type BlockRow = [key: string, label: string, kind: string, parent: number, repeat: number];
export type WeightRow = [key: string, dtype: string, shape: number[], bytes: number];

export interface NodeRow {
  key: string; op: string; domain: string; family: string; block: number;
  inputs: number[]; outputs: number[]; weights: number[];
  parameters: number; macs: number | null; scope: string; class: string; attributes: [string, string][];
}

export interface ModelDocument {
  name: string; producer: string; parameters: number; macs: number | null;
  origin: { format: string; framework: string; version: string };
  notes: string[]; opsets: Record<string, number>; obstacles: string[];
  inputs: number[]; outputs: number[];
  families: Record<string, Family>;
  blocks: BlockRow[]; nodes: NodeRow[]; weights: WeightRow[]; values: ValueRow[];
}

export interface OpenModel { /** The digest. */ model: string; name: string }

export interface Summary {
  shape: number[]; dtype: string; min: number | null; max: number | null; mean: number | null;
  std: number | null; zeros: number; nan: number; inf: number; counts: number[]; sampled: number;
}

export interface Tensor { data: Float32Array | Float64Array | Int32Array; shape: number[]; stored: string }
/** Maps (maps, h, w) of a tensor, their numbers along its leading axes, and the order that its axes were taken in. */
export interface Maps extends Tensor { maps: number[]; order: number[] }

export interface Schema {
  title: string; description: string; required: string[]; "x-group": string;
  properties: Record<string, Property>;
}

export interface Property {
  type?: string; enum?: string[]; items?: Property; anyOf?: Property[]; default?: unknown;
  description?: string; "x-kind"?: "model" | "file" | "output" | "";
}

export interface JobState {
  job: string; what: string; state: "waiting" | "running" | "done" | "failed" | "cancelled";
  step: { what: string; done: number; total: number | null; picture: boolean } | null; error: string;
  result?: any; text?: string; figures?: [string, string, string][]; files?: { file: string; name: string }[];
}
