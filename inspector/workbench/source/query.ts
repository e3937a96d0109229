// Which nodes does a query mean? Words, /patterns/, and comparisons joined by & : `op=Conv & params>1e5`.
import type { Graph, Item } from "./graph";
import type { ValueRow } from "./types";

type Test = (item: Item) => boolean;
const NUMBERS: Record<string, (item: Item) => number> = {
  params: (item) => item.node?.parameters ?? 0, macs: (item) => item.node?.macs ?? 0,
  inputs: (item) => item.node?.inputs.length ?? 0, outputs: (item) => item.node?.outputs.length ?? 0 };

function texts(graph: Graph, item: Item): Record<string, string> {
  const value: ValueRow = item.value >= 0 ? graph.doc.values[item.value]! : ["", "", ""];
  const node = item.node;
  return { name: item.key, op: node?.op ?? "", scope: node?.scope ?? "", class: node?.class ?? "", shape: value[2], dtype: value[1], value: value[0], family: item.family };
}

/** Throws a sentence where the query cannot be read. */
export function parse(graph: Graph, query: string): Test {
  const parts = query.split("&").map((part) => part.trim()).filter(Boolean);
  const tests = parts.map((part) => one(graph, part));
  return (item) => tests.every((test) => test(item));
}

function one(graph: Graph, part: string): Test {
  const found = /^(\w+)\s*(<=|>=|!=|=|<|>|~)\s*(.+)$/.exec(part);
  if (!found) return free(graph, part);
  const [, field, sign, wanted] = found as unknown as [string, string, string, string];
  const number = NUMBERS[field.toLowerCase()];
  if (number) return compare(number, sign, wanted);
  const attribute = (item: Item) => item.node?.attributes.find(([name]) => name === field)?.[1];
  const text = (item: Item) => texts(graph, item)[field.toLowerCase()] ?? attribute(item) ?? "";
  if (sign === "~") { const pattern = regex(wanted); return (item) => pattern.test(text(item)); }
  if (sign === "=") return (item) => same(text(item), wanted);
  if (sign === "!=") return (item) => !same(text(item), wanted);
  return compare((item) => parseFloat(text(item)), sign, wanted);
}

function same(text: string, wanted: string): boolean {
  const plain = (t: string) => t.toLowerCase().replace(/x(?=\d)/g, "×");
  return plain(text) === plain(wanted);
}

function compare(of: (item: Item) => number, sign: string, wanted: string): Test {
  const limit = Number(wanted);
  if (Number.isNaN(limit)) throw new Error(`${wanted} is no number`);
  const signs: Record<string, Test> = { "<": (i) => of(i) < limit, ">": (i) => of(i) > limit, "<=": (i) => of(i) <= limit, ">=": (i) => of(i) >= limit, "=": (i) => of(i) === limit, "!=": (i) => of(i) !== limit };
  const test = signs[sign];
  if (!test) throw new Error(`${sign} does not compare numbers`);
  return test;
}

function regex(text: string): RegExp {
  try { return new RegExp(text, "i"); } catch { throw new Error(`${text} is no regular expression`); }
}

function free(graph: Graph, part: string): Test {
  const slashed = /^\/(.+)\/$/.exec(part);
  if (slashed) { const pattern = regex(slashed[1]!); return (item) => Object.values(texts(graph, item)).some((text) => pattern.test(text)); }
  const word = part.toLowerCase();
  return (item) => item.key.toLowerCase().includes(word) || item.label.toLowerCase().includes(word) || texts(graph, item).scope!.toLowerCase().includes(word);
}

export function search(graph: Graph, query: string): number[] {
  const test = parse(graph, query);
  const found: number[] = [];
  graph.items.forEach((item, i) => { if (test(item)) found.push(i); });
  return found;
}
