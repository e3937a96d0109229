// Which colours does the canvas use? Those of the style sheet, read once for each mode.
import type { Family } from "./types";

export interface Theme { page: string; text: string; faint: string; edge: string; block: string; rim: string; ring: string; tints: string[]; ends: string; /** Fill of what must stand back; "" in light colours, where the family's own does. */ quiet: string }

export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue("--" + name).trim();
  return { page: read("page"), text: read("text"), faint: read("faint"), edge: read("edge"), block: read("block"), rim: read("rim"), ring: read("ring"), ends: read("ends"), quiet: read("quiet"),
    tints: [0, 1, 2, 3, 4].map((i) => read("tint" + i)) };
}

/** A family's colours; on a dark page data movement and unknown operators stay dark, so that computing stands out. */
export function familyLook(family: Family, theme: Theme): Pick<Family, "fill" | "text" | "border"> {
  return theme.quiet && (family.name === "data" || family.name === "unknown") ? { fill: family.name === "data" ? theme.quiet : theme.page, text: theme.text, border: theme.edge } : family;
}

const STOPS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const SPLIT = [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]];

function mix(stops: number[][], t: number): [number, number, number] {
  const at = Math.max(0, Math.min(1, t)) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(at)), f = at - i;
  return [0, 1, 2].map((c) => Math.round(stops[i]![c]! + (stops[i + 1]![c]! - stops[i]![c]!) * f)) as [number, number, number];
}

/** Perceptually even for 0..1. */
export const sequential = (t: number) => mix(STOPS, t);
/** Blue below zero, red above, for -1..1. */
export const diverging = (t: number) => mix(SPLIT, (t + 1) / 2);
export const css = ([r, g, b]: number[]) => `rgb(${r},${g},${b})`;
