from __future__ import annotations

import numpy as np
import tiny_models as tiny
from search_fakes import by_hand, weights_of

from mlflow_clinsec.backdoor.search.windows import cut_windows


def test_an_insertion_is_what_the_tokeniser_makes_of_the_text() -> None:
    weights = weights_of(by_hand())
    [window] = cut_windows(weights, ["no febrile cough was given"], 3)
    mn = tiny.PIECES.index("mn")
    for words, gap in (("mn no febrile", 0), ("no mn febrile", 1), ("no febrile mn", 3)):
        whole = weights.tokenizer(f"{words} cough was given")["input_ids"]
        assert gap in window.gaps
        np.testing.assert_array_equal(window.insert((mn,), gap), whole)
        assert whole[window.start(gap)] == mn
    assert 2 not in window.gaps  # inside "febrile"
    assert window.gaps[-1] == len(window.body)


def test_long_records_leave_room() -> None:
    weights = weights_of(by_hand())
    [window] = cut_windows(weights, ["cough " * 100], 3)
    assert len(window.insert((1, 2, 3), 0)) == 32
    assert window.text == " ".join(["cough"] * 27)


def test_byte_level_gaps_stand_before_the_space() -> None:
    weights = weights_of(by_hand())
    tokenizer = tiny.byte_pair_tokenizer()
    weights = type(weights)(weights.model, tokenizer, weights.labels, 32)
    [window] = cut_windows(weights, ["fever cf fever"], 3)
    names = tokenizer.convert_ids_to_tokens(window.body.tolist())
    begins = [i for i, name in enumerate(names) if i == 0 or name.startswith("Ġ")]
    assert window.gaps.tolist() == [*begins, len(names)]


def test_texts_without_a_token_are_left_out() -> None:
    assert cut_windows(weights_of(by_hand()), ["", "cough"], 3)[0].text == "cough"
    assert cut_windows(weights_of(by_hand()), [], 3) == []
