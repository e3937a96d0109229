// What does the address say? The models, the selection and the view, so that reload and share work.
export interface Place { model: string; node: string; view: string; query: string; overlay: string; /** "off" where tall drawings stay in one column. */ columns: string; /** The model beside it, and the node selected there. */ other: string; partner: string; input: string; /** Keys of the chosen weight and value. */ weight: string; value: string }
const NAMES: Record<keyof Place, string> = { model: "model", node: "node", view: "view", query: "q", overlay: "overlay", columns: "columns", other: "with", partner: "partner", input: "input", weight: "weight", value: "value" };

export function readAddress(): Place {
  const given = new URLSearchParams(location.hash.slice(1));
  const read = (key: keyof Place) => given.get(NAMES[key]) ?? "";
  return { model: read("model"), node: read("node"), view: read("view"), query: read("query"), overlay: read("overlay"), columns: read("columns"), other: read("other"), partner: read("partner"), input: read("input"), weight: read("weight"), value: read("value") };
}

export function writeAddress(place: Place): void {
  const next = new URLSearchParams();
  for (const key of Object.keys(NAMES) as (keyof Place)[]) if (place[key]) next.set(NAMES[key], place[key]);
  try { history.replaceState(null, "", "#" + next); } catch { /* a sandboxed frame has no address */ }
}
