// Which colours does the canvas use? Those of the style sheet, read once for each mode.
export interface Theme { page: string; text: string; faint: string; edge: string; block: string; rim: string; ring: string; tints: string[]; ends: string }

export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue("--" + name).trim();
  return { page: read("page"), text: read("text"), faint: read("faint"), edge: read("edge"), block: read("block"), rim: read("rim"), ring: read("ring"), ends: read("ends"),
    tints: [0, 1, 2, 3, 4].map((i) => read("tint" + i)) };
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
