// How is a layout made without holding up the page? In a worker, which answers only the latest wish.
import { layout, type Problem } from "./layout";

let problem: Problem;
self.onmessage = ({ data }: MessageEvent) => {
  if (data.problem) problem = data.problem;
  const started = performance.now();
  const placed = layout(problem, new Set<number>(data.open), data.fold);
  const buffers = Object.values(placed).filter((part) => ArrayBuffer.isView(part)).map((part) => (part as Int32Array).buffer);
  (self as unknown as Worker).postMessage({ seq: data.seq, placed, ms: performance.now() - started }, buffers as Transferable[]);
};
