"""Regions of an image: sampling grids, region pooling and suppression of overlapping boxes."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.autograd.registry import operator

__all__: list[str] = []


@operator("GridSample", since=16)
@operator("GridSample", since=20)
@operator("GridSample", since=22)
def grid_sample(x: Tensor, grid: Tensor, *, align_corners: int, mode: str, padding_mode: str) -> Tensor:
    how = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    if how == "bicubic" and x.ndim == 5:
        raise NotImplementedError("cubic sampling of volumes")
    return torch.nn.functional.grid_sample(x, grid, how, padding_mode, bool(align_corners))


@operator("AffineGrid", since=20, host=(1,))
def affine_grid(theta: Tensor, size: Tensor, *, align_corners: int) -> Tensor:
    return torch.nn.functional.affine_grid(theta, size.tolist(), bool(align_corners))


@operator("RoiAlign", since=16)
@operator("RoiAlign", since=22)
def roi_align(
    x: Tensor,
    rois: Tensor,
    batch: Tensor,
    *,
    coordinate_transformation_mode: str,
    mode: str,
    output_height: int,
    output_width: int,
    sampling_ratio: int,
    spatial_scale: float,
) -> Tensor:
    half = coordinate_transformation_mode == "half_pixel"
    boxes = rois * spatial_scale - (0.5 if half else 0.0)
    starts, lengths = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]  # (boxes, (x, y))
    lengths = lengths if half else lengths.clamp(min=1.0)
    bins = (output_width, output_height)
    out: list[Tensor] = []
    order: list[int] = []
    for counts, members in _sampled_alike(lengths.detach(), bins, sampling_ratio).items():
        for some in torch.tensor(members).to(x.device, non_blocking=True).split(TOGETHER):
            samples = [
                _samples(starts[some, side], lengths[some, side], bins[side], counts[side]) for side in (0, 1)
            ]
            out.append(_aligned(x, batch[some], samples[1], samples[0], mode))
        order += members
    if not out:
        return x.new_zeros((0, x.shape[1], output_height, output_width))
    places = torch.tensor(order).argsort().to(x.device, non_blocking=True)
    return torch.cat(out).index_select(0, places)


TOGETHER = 64
"""Boxes that are sampled at once: more take more memory."""


def _sampled_alike(lengths: Tensor, bins: tuple[int, int], ratio: int) -> dict[tuple[int, int], list[int]]:
    """Boxes by the samples they take a bin, (columns, rows); without a ratio their size says it."""
    if ratio > 0:
        return {(ratio, ratio): list(range(len(lengths)))} if len(lengths) else {}
    groups: dict[tuple[int, int], list[int]] = {}
    each = [(lengths[:, side].double() / bins[side]).ceil().clamp(min=1).long() for side in (0, 1)]
    for number, (columns, rows) in enumerate(torch.stack(each, 1).cpu().tolist()):
        groups.setdefault((columns, rows), []).append(number)
    return groups


def _aligned(x: Tensor, images: Tensor, rows: Tensor, columns: Tensor, mode: str) -> Tensor:
    """Bins of boxes, (boxes, c, bins, bins), from their sample coordinates (boxes, bins, samples)."""
    corners = _corners(x, images, rows.flatten(1), columns.flatten(1))
    value = torch.stack(corners).amax(0) if mode == "max" else sum(corners[1:], corners[0])
    cells = value.reshape(len(images), *rows.shape[1:], *columns.shape[1:], x.shape[1])
    pooled = cells.amax((2, 4)) if mode == "max" else cells.mean((2, 4))
    return pooled.movedim(-1, 1)


@operator("RoiAlign", since=10)
def roi_align_10(
    x: Tensor,
    rois: Tensor,
    batch: Tensor,
    *,
    mode: str,
    output_height: int,
    output_width: int,
    sampling_ratio: int,
    spatial_scale: float,
) -> Tensor:
    return roi_align(
        x,
        rois,
        batch,
        coordinate_transformation_mode="output_half_pixel",
        mode=mode,
        output_height=output_height,
        output_width=output_width,
        sampling_ratio=sampling_ratio,
        spatial_scale=spatial_scale,
    )


def _samples(start: Tensor, length: Tensor, bins: int, count: int) -> Tensor:
    """Sample coordinates (boxes, bins, samples) along one side of each box."""
    steps = (torch.arange(count, device=start.device, dtype=start.dtype) + 0.5) / count
    cells = torch.arange(bins, device=start.device, dtype=start.dtype)[:, None] + steps
    return start[:, None, None] + cells * (length / bins)[:, None, None]


def _corners(x: Tensor, images: Tensor, rows: Tensor, columns: Tensor) -> list[Tensor]:
    """The four weighted neighbours of every (row, column) of every box: each (boxes, rows, columns, c)."""
    (top, bottom), (row_low, row_high) = _neighbours(rows, x.shape[2])
    (left, right), (column_low, column_high) = _neighbours(columns, x.shape[3])
    image = images.long()[:, None, None]
    return [
        x[image, :, i[:, :, None], j[:, None]] * (a[:, :, None] * b[:, None])[..., None]
        for i, a in ((top, row_low), (bottom, row_high))
        for j, b in ((left, column_low), (right, column_high))
    ]


def _neighbours(place: Tensor, size: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    inside = ((place >= -1) & (place <= size)).to(place.dtype)
    place = place.clamp(0, size - 1)
    low = place.detach().floor().long()
    high = (low + 1).clamp(max=size - 1)
    part = place - low
    return (low, high), ((1 - part) * inside, part * inside)


@operator("MaxRoiPool", since=1)
@operator("MaxRoiPool", since=22)
def max_roi_pool(x: Tensor, rois: Tensor, *, pooled_shape: list[int], spatial_scale: float) -> Tensor:
    edges = (rois[:, 1:].double() * spatial_scale + 0.5).floor().long()  # (boxes, (x1, y1, x2, y2))
    rows = _bins(edges[:, 1], edges[:, 3], pooled_shape[0], x.shape[2])
    columns = _bins(edges[:, 0], edges[:, 2], pooled_shape[1], x.shape[3])
    images = rois[:, 0].long()
    out = [
        _largest(_largest(x.index_select(0, image), high[0]).mT, wide[0]).mT
        for image, high, wide in zip(images.split(1), rows.split(1), columns.split(1), strict=True)
    ]
    filled = (rows.any(2)[:, :, None] & columns.any(2)[:, None])[:, None]
    pooled = torch.cat(out) if out else x.new_zeros((0, x.shape[1], *pooled_shape))
    return torch.where(filled, pooled, torch.zeros_like(pooled))


def _bins(first: Tensor, last: Tensor, count: int, limit: int) -> Tensor:
    """Which places of an axis lie in which bin of each box, (boxes, bins, places)."""
    number = torch.arange(count, device=first.device, dtype=torch.float64)
    length = (last - first + 1).clamp(min=1)[:, None]
    low = first[:, None] + (number * length / count).floor().long()
    high = first[:, None] + ((number + 1) * length / count).ceil().long()
    place = torch.arange(limit, device=first.device)
    return (place >= low[..., None]) & (place < high[..., None])


def _largest(x: Tensor, inside: Tensor) -> Tensor:
    """The largest of the rows in each bin, (n, c, bins, w) from (n, c, h, w) and (bins, h)."""
    return torch.where(inside[:, :, None], x[:, :, None], -torch.inf).amax(3)


@operator("NonMaxSuppression", since=10, host=(2, 3, 4), differentiable=False)
@operator("NonMaxSuppression", since=11, host=(2, 3, 4), differentiable=False)
def non_max_suppression(
    boxes: Tensor,
    scores: Tensor,
    limit: Tensor | None = None,
    iou_threshold: Tensor | None = None,
    score_threshold: Tensor | None = None,
    *,
    center_point_box: int,
) -> Tensor:
    most = 0 if limit is None else int(limit)
    overlap = 0.0 if iou_threshold is None else float(iou_threshold)
    least = None if score_threshold is None else float(score_threshold)
    chosen: list[list[int]] = []
    for image in range(boxes.shape[0]):
        corners = _corner_form(boxes[image].detach().cpu(), center_point_box)
        for kind in range(scores.shape[1]):
            kept = _suppressed(corners, scores[image, kind].detach().cpu(), most, overlap, least)
            chosen += [[image, kind, box] for box in kept]
    return torch.tensor(chosen, dtype=torch.int64).reshape(-1, 3)


def _corner_form(boxes: Tensor, centred: int) -> Tensor:
    """Boxes as (y1, x1, y2, x2), smaller corner first."""
    if centred:
        x, y, w, h = boxes.unbind(-1)
        return torch.stack((y - h / 2, x - w / 2, y + h / 2, x + w / 2), -1)
    first, second = boxes[:, :2], boxes[:, 2:]
    return torch.cat((torch.minimum(first, second), torch.maximum(first, second)), -1)


def _suppressed(boxes: Tensor, scores: Tensor, most: int, overlap: float, least: float | None) -> list[int]:
    order = torch.argsort(scores, descending=True, stable=True).tolist()
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    kept: list[int] = []
    for box in order:
        if len(kept) >= most:
            break
        if least is not None and float(scores[box]) <= least:
            continue
        if kept:
            others = boxes[kept]
            sides = torch.minimum(boxes[box, 2:], others[:, 2:]) - torch.maximum(
                boxes[box, :2], others[:, :2]
            )
            shared = sides.clamp(min=0).prod(-1)
            if bool((shared > overlap * (areas[box] + areas[kept] - shared)).any()):
                continue
        kept.append(box)
    return kept
