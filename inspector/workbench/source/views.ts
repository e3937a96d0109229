// Which views are there? A row each: beside the drawing, or over the whole width in its place.
import type { ComponentType } from "preact";
import { ActivationsPanel } from "./activations_panel";
import { AttributionPanel } from "./attribution_panel";
import type { Bench } from "./bench";
import { CompareView } from "./compare_view";
import { NodePanel } from "./node_panel";
import { PicturesPanel } from "./pictures_panel";
import { QuestionsPanel } from "./questions_panel";
import { WeightsPanel } from "./weights_panel";

export interface View {
  id: string; title: string; component: ComponentType<{ bench: Bench }>;
  /** "side": a panel beside the drawing; "wide": takes the drawing's place too. */ place: "side" | "wide";
  /** Shown beside a server, in a report, or in both. */ where: "server" | "report" | "both";
}

export const VIEWS: readonly View[] = [
  { id: "node", title: "Node", component: NodePanel, place: "side", where: "both" },
  { id: "weights", title: "Weights", component: WeightsPanel, place: "side", where: "both" },
  { id: "activations", title: "Activations", component: ActivationsPanel, place: "side", where: "both" },
  { id: "attribution", title: "Attribution", component: AttributionPanel, place: "side", where: "server" },
  { id: "attribution", title: "Attribution", component: PicturesPanel, place: "side", where: "report" },
  { id: "compare", title: "Compare", component: CompareView, place: "wide", where: "both" },
  { id: "more", title: "More", component: QuestionsPanel, place: "side", where: "server" },
];

export const viewsFor = (bench: Bench): View[] => VIEWS.filter((view) => view.id === "compare" ? bench.live || bench.other : view.where === "both" || (view.where === "server") === (bench.live !== null));
