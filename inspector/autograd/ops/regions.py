"""Regions of an image: sampling grids, region pooling and suppression of overlapping boxes."""

from __future__ import annotations

import math

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
    out: list[Tensor] = []
    for box, image in zip(boxes, batch.tolist(), strict=True):
        x1, y1, x2, y2 = box.unbind()
        width, height = x2 - x1, y2 - y1
        if not half:
            width, height = width.clamp(min=1.0), height.clamp(min=1.0)
        rows = _samples(y1, height, output_height, sampling_ratio)
        columns = _samples(x1, width, output_width, sampling_ratio)
        corners = _corners(x[image], rows.reshape(-1), columns.reshape(-1))
        value = torch.stack(corners).amax(0) if mode == "max" else sum(corners[1:], corners[0])
        cells = value.reshape(x.shape[1], output_height, -1, output_width, columns.shape[1])
        out.append(cells.amax((2, 4)) if mode == "max" else cells.mean((2, 4)))
    return torch.stack(out) if out else x.new_zeros((0, x.shape[1], output_height, output_width))


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


def _samples(start: Tensor, length: Tensor, bins: int, ratio: int) -> Tensor:
    """Sample coordinates (bin, sample) along one side of a region."""
    count = ratio if ratio > 0 else max(math.ceil(float(length.detach()) / bins), 1)
    steps = (torch.arange(count, device=start.device, dtype=start.dtype) + 0.5) / count
    cells = torch.arange(bins, device=start.device, dtype=start.dtype)[:, None] + steps
    return start + cells * (length / bins)


def _corners(image: Tensor, rows: Tensor, columns: Tensor) -> list[Tensor]:
    """The four weighted neighbours of every (row, column): each (c, rows, columns)."""
    (top, bottom), (row_low, row_high) = _neighbours(rows, image.shape[1])
    (left, right), (column_low, column_high) = _neighbours(columns, image.shape[2])
    return [
        image[:, i][:, :, j] * (a[:, None] * b[None])
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
    out: list[Tensor] = []
    for image, *corners in rois.tolist():
        x1, y1, x2, y2 = (math.floor(c * spatial_scale + 0.5) for c in corners)
        rows = _bins(y1, max(y2 - y1 + 1, 1), pooled_shape[0], x.shape[2])
        columns = _bins(x1, max(x2 - x1 + 1, 1), pooled_shape[1], x.shape[3])
        plane = x[int(image)]
        cells = [[_largest(plane[:, a:b, c:d]) for c, d in columns] for a, b in rows]
        out.append(torch.stack([torch.stack(row, -1) for row in cells], -2))
    return torch.stack(out)


def _bins(start: int, length: int, count: int, limit: int) -> list[tuple[int, int]]:
    edges: list[tuple[int, int]] = []
    for i in range(count):
        low = start + math.floor(i * length / count)
        high = start + math.ceil((i + 1) * length / count)
        edges.append((min(max(low, 0), limit), min(max(high, 0), limit)))
    return edges


def _largest(cell: Tensor) -> Tensor:
    return cell.amax((1, 2)) if cell.numel() else cell.new_zeros(cell.shape[0])


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
