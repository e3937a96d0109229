// What is the model as a whole? Its origin, its size, and what must be known of it.
import { Facts } from "./facts";
import { plain, type Graph } from "./graph";
import { short } from "./painter";

export function Overview({ graph }: { graph: Graph }) {
  const { doc } = graph;
  return <section><h2>{plain(doc.name)}</h2>
    <Facts rows={[["format", [doc.origin.format, doc.origin.version].filter(Boolean).join(" ")], ["framework", doc.origin.framework], ["producer", doc.producer], ["opset", Object.entries(doc.opsets).map(([d, v]) => `${d} ${v}`).join(", ")],
      ["operators", doc.nodes.length.toLocaleString("en")], ["parameters", doc.parameters.toLocaleString("en")], ["multiply-adds", doc.macs ? short(doc.macs) : ""]]} />
    {doc.obstacles.length > 0 && <><h3>Cannot be executed</h3>{doc.obstacles.map((why) => <p class="problem">{plain(why)}</p>)}</>}
    {doc.notes.length > 0 && <><h3>Notes</h3>{doc.notes.map((note) => <p>{plain(note)}</p>)}</>}
    <p class="hint">Click a box to see what it is. Double click opens a block; drag or scroll to move, Ctrl and scroll to zoom.</p></section>;
}
