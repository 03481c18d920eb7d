"""The overlap guard, against the textbook double loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_clinsec.overlap import NEAR_DUPLICATE, overlapping

WORDS = ["bp", "hr", "stable", "admitted", "denies", "pain", "fever", "cough", "left", "right"]


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def _double_loop(texts: list[str], member: list[bool]) -> list[bool]:
    found = [False] * len(texts)
    for i, a in enumerate(texts):
        for j, b in enumerate(texts):
            if member[i] and not member[j]:
                x, y = _shingles(a), _shingles(b)
                if len(x & y) / len(x | y) >= NEAR_DUPLICATE:
                    found[i] = found[j] = True
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join), st.booleans()),
        min_size=2,
        max_size=12,
    )
)
def test_equals_the_double_loop(records: list[tuple[str, bool]]) -> None:
    texts, member = [text for text, _ in records], [flag for _, flag in records]
    assert overlapping(texts, np.array(member)).tolist() == _double_loop(texts, member)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_edited_copies_among_boilerplate_equal_the_double_loop(seed: int) -> None:
    # Notes that share a long heading; copies with up to five of 45 words changed straddle the limit of 0.8.
    rng = np.random.default_rng(seed)
    heading = " ".join(f"h{i}" for i in range(15))
    texts, member = [], []
    for note in range(6):
        words = [f"n{note}w{i}" for i in range(30)]
        for side in (True, False):
            edited = words.copy()
            for place in rng.integers(0, 30, size=rng.integers(0, 3)):
                edited[place] = f"x{rng.integers(100)}"
            texts.append(f"{heading} {' '.join(edited)}")
            member.append(side)
    assert overlapping(texts, np.array(member)).tolist() == _double_loop(texts, member)


def test_the_limit_itself_is_a_near_duplicate() -> None:
    # 9 words give 5 shingles; one more word at the end gives 6: 5 / 6 > 0.8. Two more: 5 / 7 < 0.8. From 8: 4 / 5.
    words = list("abcdefghijk")
    member = np.array([True, False])
    assert overlapping([" ".join(words[:8]), " ".join(words[:9])], member).all()  # exactly 0.8
    assert overlapping([" ".join(words[:9]), " ".join(words[:10])], member).all()
    assert not overlapping([" ".join(words[:9]), " ".join(words[:11])], member).any()


def test_texts_without_words_are_copies_of_each_other() -> None:
    assert overlapping(["", "--", "word"], np.array([True, False, False])).tolist() == [True, True, False]


def test_case_and_punctuation_do_not_hide_a_copy() -> None:
    texts = [
        "Pt. stable, denies chest pain today.",
        "pt stable denies chest pain TODAY",
        "Other words stand here now.",
    ]
    assert overlapping(texts, np.array([True, False, False])).tolist() == [True, True, False]


def test_copies_on_one_side_are_no_overlap() -> None:
    texts = ["the same note of one patient"] * 2 + ["another note about someone else"]
    assert not overlapping(texts, np.array([True, True, False])).any()
