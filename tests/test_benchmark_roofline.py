"""What the roofline counts, against numbers by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import embedding, scaled_dot_product_attention

from benchmarks.roofline import H100, counted, on_h100


def test_a_product_is_two_operations_a_cell_and_reads_and_writes_each_matrix_once() -> None:
    one, other = torch.ones(3, 4), torch.ones(4, 5)
    assert counted(lambda: one @ other) == (2 * 3 * 4 * 5, 4 * (3 * 4 + 4 * 5 + 3 * 5))


def test_half_the_bytes_in_bfloat16() -> None:
    one, other = torch.ones(3, 4, dtype=torch.bfloat16), torch.ones(4, 5, dtype=torch.bfloat16)
    assert counted(lambda: one @ other) == (120, 2 * (12 + 20 + 15))


def test_views_move_nothing_and_a_look_up_what_it_looks_up() -> None:
    table = torch.ones(1000, 8)
    assert counted(lambda: table.view(-1, 4).T[1:]) == (0, 0)
    assert counted(lambda: embedding(torch.tensor([1, 2, 3]), table)) == (0, 2 * 3 * 8 * 4)
    rows = torch.tensor([5, 6])
    assert counted(lambda: table[rows]) == (0, 2 * 2 * 8 * 4)


@torch.inference_mode()
def test_attention_is_two_products_of_every_pair_of_tokens() -> None:
    batch, heads, tokens, width = 2, 3, 16, 8
    query = torch.randn(batch, heads, tokens, width)
    operations, _ = counted(lambda: scaled_dot_product_attention(query, query, query))
    assert operations == 2 * (2 * batch * heads * tokens * tokens * width)


def test_the_roof_of_an_h100() -> None:
    ridge = H100["bfloat16_flops"] / H100["bytes_per_second"]
    assert on_h100(ridge / 2, "bfloat16")["share_of_peak"] == pytest.approx(0.5)
    assert on_h100(10 * ridge, "bfloat16")["share_of_peak"] == 1.0
