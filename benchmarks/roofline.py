"""How far a sweep is from what this machine could do: operations and bytes counted, achieved over peak.

    python -m benchmarks.roofline [--repeats 3] [--sizes two_layers_of_128,...]

Operations are counted by torch's ``FlopCounterMode`` (products and attention; exponentials and sums count as nothing).
Bytes are counted operator by operator, what goes in and what comes out, as if nothing stayed in a cache from one to the
next; the least that must move is every weight once a batch. Peaks are those of a large product and of a copy, on the
same single thread and turn by turn with the sweeps, in CPU seconds; ratios are medians. Random weights: the time of a
pass does not depend on them. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from benchmarks.random_models import SIZES, Size, built
from benchmarks.sweep_cost import cpu_seconds
from mlflow_clinsec.scoring.batches import length_batches
from mlflow_clinsec.scoring.encode import EncodedPair
from mlflow_clinsec.scoring.heads import ChunkedHead
from mlflow_clinsec.scoring.precision import Precision, computing_in
from mlflow_clinsec.scoring.sweep import sweep

BATCHES = (256, 1024, 4096)
PRECISIONS: tuple[Precision, ...] = ("auto", "bfloat16")
SIDE = 2048
"""Side of the square matrices whose product gives the peak."""
COPIED = 2**26
"""Float32 values that are copied: 256 MiB, more than one core's share of the caches."""
H100 = {"bfloat16_flops": 989e12, "float32_flops": 67e12, "bytes_per_second": 3.35e12}
"""NVIDIA's data sheet of the SXM model: dense tensor cores, and float32 without them."""


class Traffic(TorchDispatchMode):
    """Bytes that operators read and write; views move none, look-ups only what they look up."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not any(value.alias_info and not value.alias_info.is_write for value in func._schema.returns):
            written = _bytes(out)
            gathers = func.overloadpacket in (torch.ops.aten.embedding, torch.ops.aten.index)
            self.bytes += 2 * written if gathers else written + _bytes((args, kwargs))
        return out


def _bytes(values: Any) -> int:
    return sum(leaf.nbytes for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor))


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


FURTHER = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
"""Operators that ``FlopCounterMode`` does not know: attention as it runs on a processor."""


def made_up(size: Size) -> list[EncodedPair]:
    """Texts of which every token but the first is scored."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(120, 384, size.texts)
    return [EncodedPair(rng.integers(0, size.vocabulary, n), np.arange(n) > 0) for n in lengths]


def counted(work: Callable[[], object]) -> tuple[int, int]:
    """Operations and bytes of some work."""
    with FlopCounterMode(display=False, custom_mapping=FURTHER) as operations, Traffic() as traffic:
        work()
    return operations.get_total_flops(), traffic.bytes


def peaks() -> dict[str, float]:
    """Operations a CPU second of products in both types, and bytes a second of a copy."""
    found = {}
    for name, kind, times in (("auto", torch.float32, 2), ("bfloat16", torch.bfloat16, 8)):
        one, other = (torch.ones(SIDE, SIDE, dtype=kind) for _ in range(2))
        seconds = cpu_seconds(lambda one=one, other=other, times=times: [one @ other for _ in range(times)])  # type: ignore[misc]
        found[name] = times * 2 * SIDE**3 / seconds
    source, target = torch.ones(COPIED), torch.empty(COPIED)
    found["bytes"] = 2 * source.nbytes / cpu_seconds(lambda: target.copy_(source))
    return found


def roofline(size: Size, batch_tokens: int, precision: Precision, repeats: int) -> dict[str, Any]:
    """One sweep against the roofs."""
    model, pairs = built(size), made_up(size)
    head = ChunkedHead(model)

    def work() -> None:
        with computing_in(precision, model):
            sweep(model, pairs, head=head, batch_tokens=batch_tokens)

    operations, moved = counted(work)
    exact = 2 * size.width * size.vocabulary * sum(len(pair) - 1 for pair in pairs)
    batches = len(length_batches([len(pair) for pair in pairs], batch_tokens))
    least = batches * sum(weight.nbytes for weight in model.parameters())
    rates, roofs = [], []
    for _ in range(repeats):
        peak = peaks()
        seconds = cpu_seconds(work)
        busy = (operations - exact) / peak[precision] + exact / peak["auto"]
        rates.append((operations / seconds / peak["auto"], busy / seconds, moved / seconds / peak["bytes"]))
        roofs.append((operations / seconds / 1e9, least / peak["bytes"] / seconds))
    over_float32, over_peak, over_copy = np.median(rates, axis=0)
    achieved, floor = np.median(roofs, axis=0)
    return {
        "tokens": sum(map(len, pairs)),
        "gflop": round(operations / 1e9, 1),
        "gflop_per_second": round(float(achieved), 1),
        "share_of_the_products_peak": round(float(over_peak), 3),
        "over_the_float32_peak": round(float(over_float32), 3),
        "output_layer_share_of_operations": round(exact / operations, 3),
        "gbytes_by_operator": round(moved / 1e9, 2),
        "operations_per_byte": round(operations / moved, 1),
        "operations_per_least_byte": round(operations / least, 1),
        "traffic_over_copy": round(float(over_copy), 3),
        "weights_read_share_of_time": round(float(floor), 3),
        "computed_for_h100": on_h100(operations / moved, precision),
    }


def on_h100(operations_per_byte: float, precision: Precision) -> dict[str, float]:
    """Computed, not measured: the most of an H100's product peak that memory allows at so many operations a byte."""
    peak = H100["bfloat16_flops" if precision == "bfloat16" else "float32_flops"]
    ridge = peak / H100["bytes_per_second"]
    return {
        "ridge_operations_per_byte": round(ridge, 1),
        "share_of_peak": round(min(1, operations_per_byte / ridge), 3),
    }


def main() -> None:
    """Measure all sizes and print the JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", default=",".join(SIZES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    measured = [peaks() for _ in range(arguments.repeats)]
    found: dict[str, Any] = {
        "peaks": {name: f"{np.median([one[name] for one in measured]) / 1e9:.1f}e9" for name in measured[0]}
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name in arguments.sizes.split(","):
            for tokens in BATCHES:
                for precision in PRECISIONS:
                    one = roofline(SIZES[name], tokens, precision, arguments.repeats)
                    found[f"{name}, {tokens} tokens a batch, {precision}"] = one
    print(json.dumps(found))


if __name__ == "__main__":
    main()
