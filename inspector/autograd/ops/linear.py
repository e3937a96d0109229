"""Matrix products."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.autograd.integers import UNSIGNED, narrowed, wide
from inspector.autograd.registry import operator

__all__: list[str] = []


@operator("MatMul", since=1)
@operator("MatMul", since=9)
@operator("MatMul", since=13)
def matmul(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype in UNSIGNED:
        return narrowed(torch.matmul(wide(a), wide(b)), a.dtype)
    return torch.matmul(a, b)


@operator("Gemm", since=7)
def gemm(
    a: Tensor, b: Tensor, c: Tensor | None = None, *, alpha: float, beta: float, transA: int, transB: int
) -> Tensor:
    a = a.mT if transA else a
    if c is not None and a.dtype.is_floating_point:
        return torch.addmm(c, a, b.mT if transB else b, beta=beta, alpha=alpha)
    dtype = a.dtype
    product = torch.matmul(wide(a), wide(b.mT if transB else b))
    product = product if alpha == 1.0 else _scaled(product, alpha)
    if c is not None and beta != 0.0:
        product = product + (wide(c) if beta == 1.0 else _scaled(wide(c), beta))
    return narrowed(product, dtype)


def _scaled(x: Tensor, factor: float) -> Tensor:
    return x * factor if x.dtype.is_floating_point else (x * factor).to(x.dtype)


@operator("Gemm", since=1)
@operator("Gemm", since=6)
def gemm_1(
    a: Tensor, b: Tensor, c: Tensor, *, alpha: float, beta: float, broadcast: int, transA: int, transB: int
) -> Tensor:
    return gemm(a, b, c, alpha=alpha, beta=beta, transA=transA, transB=transB)


@operator("Einsum", since=12)
def einsum(*inputs: Tensor, equation: str) -> Tensor:
    return torch.einsum(equation.replace(" ", ""), *inputs)
