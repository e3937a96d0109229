"""Which weights does the model hold, as files other tools can read?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table

from inspector import weights
from inspector.actions.parameters import Flag, OutputFolder
from inspector.actions.registry import action
from inspector.actions.result import Result

if TYPE_CHECKING:
    from inspector.model import Model
    from inspector.views import Figure
    from inspector.weights import Export

__all__ = ["WeightExport", "export_weights"]

_LISTED = 20


@dataclass(frozen=True)
class WeightExport(Result):
    """What was written and where."""

    export: Export

    @property
    def weights(self) -> tuple[dict[str, Any], ...]:
        """The manifest's rows."""
        return self.export.weights

    def to_dict(self) -> dict[str, Any]:
        """The manifest, with the folder."""
        return {"folder": str(self.export.folder)} | self.export.manifest()

    def to_text(self) -> RenderableType:
        """The largest weights with their statistics, and where all of them are."""
        table = Table("weight", "shape", "dtype", "min", "max", "mean", "std", box=None, pad_edge=False)
        largest = sorted(self.weights, key=lambda row: -row["bytes"])[:_LISTED]
        for row in largest:
            numbers = ("–" if row[k] is None else f"{row[k]:.4g}" for k in ("min", "max", "mean", "std"))
            shape = "×".join(map(str, row["shape"])) or "scalar"
            table.add_row(row["source_name"], shape, row["dtype"], *numbers)
        total = sum(row["bytes"] for row in self.weights)
        rest = f" The {len(largest)} largest are listed." if len(largest) < len(self.weights) else ""
        bad = [row["source_name"] for row in self.weights if row["nan"] or row["inf"]]
        lines: list[RenderableType] = [table] if largest else []
        lines.append(
            f"{len(self.weights)} weights, {total / 1e6:,.2f} MB, written to {self.export.folder}/ "
            f"with manifest.json.{rest}"
        )
        if bad:
            lines.append(f"NaN or infinite values in {len(bad)} of them: {', '.join(bad[:5])}")
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """None."""
        return {}


@action(
    group="Weights",
    examples=(
        "inspector export-weights net.onnx -o weights/",
        "inspector export-weights model.h5 -o conv1/ --select 'conv1*' --format npz",
    ),
)
def export_weights(
    model: Model,
    folder: OutputFolder,
    *,
    select: Annotated[list[str] | None, Flag(("--select",))] = None,
    layout: Literal["source", "onnx"] = "source",
    format: Literal["npy", "npz", "safetensors"] = "npy",
    widen: bool = False,
) -> WeightExport:
    """Write the model's weights into a folder, with a manifest of shapes, digests and statistics.

    Args:
        model: The model file.
        folder: Folder to write; an earlier export in it is replaced as a whole.
        select: Only weights whose name matches this pattern, such as 'conv*/kernel'. Repeatable.
        layout: Names and axes of the source file, or of the ONNX graph.
        format: One .npy file a weight, one .npz, or one .safetensors.
        widen: Write bfloat16, float8 and narrower types as float32 instead of their raw bits.
    """
    return WeightExport(
        weights.export_weights(model, folder, select=select, layout=layout, format=format, widen=widen)
    )
