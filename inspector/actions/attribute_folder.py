"""Which parts of the input do the answers for a whole folder depend on?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from inspector import methods
from inspector.actions.parameters import Flag, OutputFolder, Source, parse_options
from inspector.actions.registry import action
from inspector.actions.result import Result

if TYPE_CHECKING:
    from inspector.methods import FolderMaps
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["FolderAttributions", "attribute_folder"]

LISTED = 20


@dataclass(frozen=True)
class FolderAttributions(Result):
    """A record a file, with the written map and picture."""

    model: str
    method: str
    found: FolderMaps
    folder: Path

    def to_dict(self) -> dict[str, Any]:
        """Every file's target, score, range and written files, and those that have none."""
        return {
            "model": self.model,
            "method": self.method,
            "maps": [dict(record) for record in self.found.records],
            "skipped": dict(self.found.skipped),
            "earlier": self.found.earlier,
            "folder": str(self.folder),
        }

    def to_text(self) -> RenderableType:
        """The first files, how often each class was explained, and what was skipped."""
        table = Table("file", "target", "score", "min", "max", box=None, pad_edge=False)
        for record in self.found.records[:LISTED]:
            numbers = (f"{record[key]:.4g}" for key in ("score", "min", "max"))
            table.add_row(Text(record["name"]), Text(str(record["target"])), *numbers)
        lines: list[RenderableType] = [table, ""]
        if len(self.found.records) > LISTED:
            lines.append(f"… and {len(self.found.records) - LISTED} more files.")
        counts = Counter(str(record["target"]) for record in self.found.records).most_common(5)
        lines.append(
            Text("Explained most: " + ", ".join(f"{name} × {count}" for name, count in counts) + ".")
        )
        skipped = list(self.found.skipped.items())
        lines += [Text(f"Skipped {name}: {why}") for name, why in skipped[:10]]
        lines += [f"… and {len(skipped) - 10} more files skipped."] if len(skipped) > 10 else []
        if self.found.earlier:
            lines.append(f"{self.found.earlier} files were explained by an earlier run.")
        return Group(*lines, Text(f"Written to {self.folder}."))

    def figures(self) -> Mapping[str, Figure]:
        """None: the pictures lie in the folder."""
        return {}


@action(
    group="Explain",
    examples=(
        "inspector attribute-folder net.onnx --data photos/ -o maps/",
        "inspector attribute-folder net.onnx --data photos/ --method lrp --engine ray -o maps/",
    ),
)
def attribute_folder(
    model: Model,
    folder: OutputFolder,
    *,
    data: Annotated[Path, Source()],
    method: str = "grad-cam",
    target: str | None = None,
    layer: str | None = None,
    option: Annotated[list[str] | None, Flag(("--option",))] = None,
    preprocess: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    device: Literal["cpu", "cuda"] = "cpu",
    pictures: bool = True,
    engine: str = "embedded",
    seed: int = 0,
) -> FolderAttributions:
    """Map for every file of a folder which parts of it the answer depends on.

    Args:
        model: The model file.
        folder: Folder to write: a raw map (.npy) and a picture a file, and maps.jsonl with a line a file. An
            interrupted run goes on from it.
        data: Folder with pictures, .npy, .npz or .wav files.
        method: A method of `inspector methods`.
        target: Class index, label or top, the strongest class of each file.
        layer: Value, node or scope at which class maps are read; by default the last with places.
        option: An option of the method, as in samples=50. Repeatable.
        preprocess: How pictures are prepared: a preset (imagenet-caffe), preset,field=value, or .json.
        dtype: float64 computes in double precision.
        device: Where to run.
        pictures: Also draw every map over its input.
        engine: embedded, or ray[:address] to share the work out (extra `ray`); both give the same.
        seed: Seed of random numbers.
    """
    found = methods.attribute_folder(
        model, data, folder, method, target, pictures=pictures, engine=engine, layer=layer, dtype=dtype,
        preprocess=preprocess, device=device, seed=seed, options=parse_options(option or ()),
    )  # fmt: skip
    return FolderAttributions(model.name, method, found, Path(folder))
