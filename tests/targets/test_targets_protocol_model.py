from __future__ import annotations

from typing import Any

import pytest

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.protocol_model import TokenLogprobsScorer


class Model:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def token_logprobs(self, prompts: list[str], responses: list[str]) -> Any:
        assert isinstance(prompts, list)
        return self.answer


def test_ragged_log_probabilities() -> None:
    stats = TokenLogprobsScorer(Model([[-1.0, -3.0], (), (-2,)])).token_stats(("", "q", ""), ("a b", "", "c"))
    assert stats.offsets.tolist() == [0, 2, 2, 3]
    assert stats.logp.tolist() == [-1.0, -3.0, -2.0]
    assert stats.mean is None
    assert stats.token_ids is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([[-1.0]], "1 answers to 2 responses"),
        ([[-1.0], [0.5]], "at most 0"),
        ([[-1.0], [float("nan")]], "finite"),
        ([[-1.0], [float("-inf")]], "finite"),
        ([[-1.0], ["x"]], "numbers"),
        ([[-1.0], [[-1.0]]], "flat list"),
        ([-1.0, -2.0], "flat list"),
    ],
)
def test_other_answers_are_refused(answer: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        TokenLogprobsScorer(Model(answer)).token_stats(["", ""], ["a", "b"])
