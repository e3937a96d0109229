// What is there to see before a model is? A place to drop one, or word that it is on its way.
import type { Models } from "./models";
import { RecentList } from "./recent_list";

export function Empty({ models }: { models: Models }) {
  if (models.error && models.digest) return null;
  if (!models.settled || models.digest || !models.live) return <main class="empty"><p role="status">Loading …</p></main>;
  return <main class="empty"><h1>Drop a model file here</h1><p>.onnx, .pt2, .pt, .pth, .keras, .h5, .safetensors and more. Nothing leaves this machine.</p><RecentList models={models} live={models.live} /></main>;
}
