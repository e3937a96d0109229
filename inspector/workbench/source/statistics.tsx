// Which numbers describe a tensor? Its ends, mean, spread, zeros, and what is not finite.
import { number } from "./number";
import type { Summary } from "./types";

export function Statistics({ of }: { of: Summary }) {
  const rows: [string, string][] = [["shape", of.shape.join("×") || "scalar"], ["type", of.dtype], ["min", number(of.min)], ["max", number(of.max)], ["mean", number(of.mean)], ["std", number(of.std)], ["zeros", (of.zeros * 100).toFixed(1) + " %"]];
  if (of.nan + of.inf > 0) rows.push(["NaN, Inf", `${of.nan}, ${of.inf}`]);
  return <dl class="facts">{rows.map(([name, text]) => <div key={name}><dt>{name}</dt><dd>{text}</dd></div>)}</dl>;
}
