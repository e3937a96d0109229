// What is known, name by name? Rows of a table; what is not known is left out.
import { plain } from "./graph";

export function Facts({ rows }: { rows: (readonly [string, string])[] }) {
  return <table class="rows"><tbody>{rows.filter(([, v]) => v).map(([name, v]) => <tr key={name}><th scope="row">{plain(name)}</th><td>{plain(v)}</td></tr>)}</tbody></table>;
}
