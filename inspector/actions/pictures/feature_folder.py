"""How are captured values written as a folder of pictures, arrays and an index, whole or not at all?"""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector import dtypes
from inspector.errors import OutputExists

if TYPE_CHECKING:
    from inspector.views import Figure

__all__ = ["file_stem", "replacing", "write_index", "write_value"]

MADE_BY = "inspector features"
_LONGEST = 80

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem;
  color: #16202c; background: #fff }}
h2 {{ font-size: 1.1rem; margin: 2.5rem 0 .3rem; overflow-wrap: anywhere }}
p {{ margin: .2rem 0; color: #55606e }} code {{ color: #16202c }}
figure {{ margin: .6rem 0; overflow-x: auto }}
img {{ max-width: 100%; height: auto; box-sizing: border-box; border: 1px solid #e2e6eb }}
nav {{ columns: 4 16rem; font-size: .85rem }} nav a {{ display: block; overflow-wrap: anywhere }}
table {{ border-collapse: collapse }} td, th {{ padding: .1rem .8rem .1rem 0; text-align: left }}
</style></head><body><h1>{title}</h1>
{head}
{body}
</body></html>
"""


@contextmanager
def replacing(folder: Path) -> Generator[Path]:
    """A scratch folder beside `folder` that takes its place when the block ends without an error.

    Raises:
        OutputExists: the folder holds something that this command did not write.
    """
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield scratch
        _refuse_foreign(folder)
        if folder.exists():
            old = Path(mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.rename(old / "content")
            scratch.rename(folder)
            shutil.rmtree(old)
        else:
            scratch.rename(folder)
        folder.chmod(0o755)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputExists(f"{folder} is a file; name a folder that can be written.")
    if not any(folder.iterdir()):
        return
    try:
        made_by = json.loads((folder / "index.json").read_text("utf-8")).get("made_by")
    except (OSError, ValueError, AttributeError):
        made_by = None
    if made_by != MADE_BY:
        raise OutputExists(
            f"{folder} holds files that are not from an earlier run. Name another folder, or empty it."
        )


def file_stem(number: int, key: str) -> str:
    """A file name for a value: its number and what of its key every file system takes."""
    words = re.sub(r"[^A-Za-z0-9.-]+", "_", key).strip("._") or "value"
    return f"{number:04d}-{words[-_LONGEST:].lstrip('._')}"


def write_value(folder: Path, stem: str, array: Any, figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Save one value's array and pictures; gives their file names and the stored type for the index.

    Types that .npy lacks (bfloat16, float8, int4, …) are stored as float32, which holds every one of them.
    """
    pictures: dict[str, str] = {}
    for kind, figure in figures.items():
        suffix = {"image/png": ".png", "image/svg+xml": ".svg"}.get(figure.media, ".html")
        name = f"{stem}.{kind}{suffix}"
        figure.save(folder / name)
        pictures[kind] = name
    name = f"{stem}.npy"
    stored = np.asarray(array, np.float32) if dtypes.is_foreign(array.dtype) else np.asarray(array)
    np.save(folder / name, stored, allow_pickle=False)
    return {"array": name, "stored_as": stored.dtype.name, "pictures": pictures}


def write_index(folder: Path, record: Mapping[str, Any]) -> None:
    """index.json with everything, and index.html that shows it without any other file but the pictures."""
    full = {"made_by": MADE_BY, **record}
    (folder / "index.json").write_text(json.dumps(full, indent=1, ensure_ascii=False), "utf-8")
    (folder / "index.html").write_text(_page(record), "utf-8")


def _page(record: Mapping[str, Any]) -> str:
    rows: list[Mapping[str, Any]] = record["values"]
    facts = [f"Graph: {record['graph']}", f"device: {record['device']}", f"{len(rows)} values"]
    head = [f"<p>{html.escape(', '.join(facts))}.</p>"]
    head += [f"<p>{html.escape(str(line))}</p>" for line in record["notes"]]
    for name, picture in record["inputs"].items():
        head.append(f"<h2>Input {html.escape(name)}</h2>{_image(picture, name)}")
    for name, picture in record["outputs"].items():
        head.append(f"<h2>Output {html.escape(name)}</h2>{_image(picture, name)}")
    links = [f'<a href="#v{i}">{html.escape(row["key"])}</a>' for i, row in enumerate(rows)]
    head.append(f"<h2>Values</h2><nav>{''.join(links)}</nav>")
    body = "\n".join(_section(i, row) for i, row in enumerate(rows))
    return _PAGE.format(title=html.escape(f"Features of {record['model']}"), head="\n".join(head), body=body)


def _section(number: int, row: Mapping[str, Any]) -> str:
    shape = "×".join(map(str, row["shape"])) or "scalar"
    numbers = [
        f"{name} {row[name]:.4g}"
        for name in ("minimum", "maximum", "mean", "std")
        if row.get(name) is not None
    ]
    made = (
        f" by <code>{html.escape(row['node'])}</code> ({html.escape(row['operator'])})" if row["node"] else ""
    )
    text = f"{html.escape(row['dtype'])} {shape}{made}; {', '.join(numbers)}"
    images = "".join(_image(name, f"{row['key']} {kind}") for kind, name in row.get("pictures", {}).items())
    return f'<section id="v{number}"><h2>{html.escape(row["key"])}</h2><p>{text}</p>{images}</section>'


def _image(name: str, words: str) -> str:
    alt = html.escape(words, quote=True)
    return f'<figure><img loading="lazy" src="{html.escape(name, quote=True)}" alt="{alt}"></figure>'
