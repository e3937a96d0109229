// What can a node be in a comparison? One row a state: its words, its mark in the label, and its colours.
import type { Theme } from "./theme";

export type Kind = "node" | "only_a" | "only_b" | "weights" | "values" | "equal" | "ignored";
export interface StateRow { kind: Kind; title: string; /** For a chip or a cell. */ short: string; /** Stands before the label, so that colour is not needed. */ mark: string; fill: string; text: string; border: string }

/** In this order a closed block shows the gravest state inside. */
export const STATES: readonly StateRow[] = [
  { kind: "node", title: "structure differs", short: "structure", mark: "≠ ", fill: "#0b66c3", text: "#ffffff", border: "#084a8e" },
  { kind: "only_a", title: "only in A", short: "only A", mark: "− ", fill: "#b5232a", text: "#ffffff", border: "#7f161b" },
  { kind: "only_b", title: "only in B", short: "only B", mark: "+ ", fill: "#1a7a35", text: "#ffffff", border: "#105024" },
  { kind: "weights", title: "weights differ", short: "weights", mark: "± ", fill: "#955800", text: "#ffffff", border: "#633b00" },
  { kind: "values", title: "only activations differ", short: "activations", mark: "~ ", fill: "#7a3fa8", text: "#ffffff", border: "#552a78" },
  { kind: "equal", title: "same", short: "same", mark: "", fill: "", text: "", border: "#8a94a0" },
  { kind: "ignored", title: "not compared by itself", short: "not compared", mark: "", fill: "", text: "", border: "" },
];

const BY_KIND = new Map(STATES.map((row, rank) => [row.kind, { row, rank }]));
export const stateOf = (kind: Kind): StateRow => BY_KIND.get(kind)!.row;
export const rankOf = (kind: Kind): number => BY_KIND.get(kind)!.rank;

/** How a box of this state is painted; what is the same stands back. */
export function lookOf(kind: Kind | null, theme: Theme): { fill: string; text: string; border: string } {
  if (kind === null) return { fill: theme.ends, text: theme.text, border: theme.text };
  const row = stateOf(kind);
  if (row.fill) return row;
  return kind === "equal" ? { fill: theme.block, text: theme.text, border: theme.rim } : { fill: theme.page, text: theme.faint, border: theme.edge };
}
