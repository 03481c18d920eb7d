"""The engine that sends text away: where it may, how patient it is, and what it makes of bad answers."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import ChatServer, Reply, script, serving

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError, EngineError
from mlflow_clinsec.perturb.endpoint import EndpointEngine
from mlflow_clinsec.perturb.exchange import MAX_ANSWER_BYTES
from mlflow_clinsec.perturb.options import EndpointOptions, ParaphraseOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records

NOTE = "Canary has HTN and takes 40 mg of Lasix twice daily for it."
GOOD = "Canary takes Lasix, 40 mg twice daily, for her HTN."
LOCAL = ("127.0.0.1",)


class Waits(list[float]):
    """Seconds that were asked to be waited; nothing waits."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def engine(chat: ChatServer, waits: Waits | None = None, **settings: Any) -> EndpointEngine:
    options = EndpointOptions(**{"url": chat.url, "requests_per_minute": 100_000, **settings})
    return EndpointEngine(options, LOCAL, wait=waits if waits is not None else Waits())


def rewritten(chat: ChatServer, count: int = 2, **settings: Any) -> Any:
    data = AuditData(("",), (NOTE,), np.arange(1))
    return paraphrase_records(
        data, ParaphraseOptions(count=count), np.random.default_rng(0), engine=engine(chat, **settings)
    )


@pytest.mark.parametrize("allowed", [(), ("localhost",), ("127.0.0.1.evil.org",), ("27.0.0.1",), ("0.0.1",)])
def test_a_host_that_is_not_named_is_refused_before_anything_is_sent(allowed: tuple[str, ...]) -> None:
    with serving(script(GOOD)) as chat, pytest.raises(ConfigError, match="allow_egress"):
        EndpointEngine(EndpointOptions(chat.url), allowed)
    assert chat.requests == []


def test_the_configuration_is_refused_too() -> None:
    mapping = {
        "privacy": {
            "member": "m",
            "paraphrase": {"engine": "endpoint", "endpoint": {"url": "https://llm.example.org/v1/chat/completions"}},
        }
    }
    with pytest.raises(ConfigError, match=r"allow_egress to \['llm\.example\.org'\]"):
        AuditConfig.from_mapping(mapping)
    with pytest.raises(ConfigError, match=r"it names other\.org"):
        AuditConfig.from_mapping(mapping | {"allow_egress": ["other.org"]})
    assert AuditConfig.from_mapping(mapping | {"allow_egress": ["LLM.example.org"]}).privacy is not None


def test_rewrites_are_asked_for_one_by_one_with_seeds_of_their_own() -> None:
    with serving(script(GOOD, "For HTN, Canary is given Lasix 40 mg twice daily.")) as chat:
        made = rewritten(chat, model="small")
    assert made.accepted.tolist() == [2]
    assert [request["model"] for request in chat.requests] == ["small"] * 2
    assert chat.requests[0]["seed"] != chat.requests[1]["seed"]
    assert chat.requests[0]["messages"][-1] == {"role": "user", "content": NOTE}


def test_a_gateway_gets_no_model_name() -> None:
    with serving(script(GOOD)) as chat:
        engine(chat).propose(NOTE, 1, np.random.default_rng(0))
    assert "model" not in chat.requests[0]


def test_busy_then_good() -> None:
    waits = Waits()
    with serving(script(Reply(status=429, headers={"Retry-After": "7"}), Reply(status=503), GOOD)) as chat:
        assert engine(chat, waits).propose(NOTE, 1, np.random.default_rng(0)) == [GOOD]
    assert [wait for wait in waits if wait >= 1] == [7.0, 2.0]  # as asked, then backing off


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(status=500), "HTTP status 500"),
        (Reply(b"<html>not json</html>"), "no chat completion"),
        (Reply(b'{"choices": []}'), "no chat completion"),
        (Reply(b"[" * 100_000), "no chat completion"),
        (Reply(b"x" * (MAX_ANSWER_BYTES + 1)), "more than"),
    ],
)
def test_what_stays_bad_is_an_error_after_all_tries(reply: Reply, why: str) -> None:
    with serving(script(reply)) as chat, pytest.raises(EngineError, match=why) as caught:
        engine(chat, retries=2).propose(NOTE, 1, np.random.default_rng(0))
    assert len(chat.requests) == 3
    assert "Canary" not in str(caught.value)


@pytest.mark.parametrize(("status", "why"), [(400, "refused"), (401, "refused"), (404, "refused"), (307, "redirects")])
def test_what_asking_again_will_not_change_is_asked_once(status: int, why: str) -> None:
    reply = Reply(b"", status, {"Location": "http://elsewhere.example/"})
    with serving(script(reply)) as chat, pytest.raises(EngineError, match=why):
        engine(chat).propose(NOTE, 1, np.random.default_rng(0))
    assert len(chat.requests) == 1


def test_a_silent_server_times_out() -> None:
    release = threading.Event()
    with serving(script(Reply(GOOD, hold=release))) as chat:
        with pytest.raises(EngineError, match=r"no answer within 0\.1 s"):
            engine(chat, timeout=0.1, retries=1).propose(NOTE, 1, np.random.default_rng(0))
        release.set()
    assert len(chat.requests) == 2


def test_nobody_listens() -> None:
    with serving(script(GOOD)) as chat:
        url = chat.url
    alone = EndpointEngine(EndpointOptions(url, retries=1), LOCAL, wait=Waits())
    with pytest.raises(EngineError, match="ConnectionError"):
        alone.propose(NOTE, 1, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("answer", "reason"), [(NOTE, "unchanged"), ("", "empty"), ("word " * 10_000, "overlong"), (GOOD + " Not.", "")]
)
def test_bad_rewrites_are_refused_by_the_gate_and_counted(answer: str, reason: str) -> None:
    with serving(script(answer)) as chat:
        made = rewritten(chat)
    assert made.accepted.tolist() == [0]
    assert sum(made.refusals.values()) == made.tried.sum() == 1
    assert not reason or dict(made.refusals) == {reason: 1}


def test_an_answer_without_text_counts_as_empty() -> None:
    with serving(script(Reply(b'{"choices": [{"message": {"content": null}}]}'))) as chat:
        assert dict(rewritten(chat).refusals) == {"empty": 1}


def test_requests_keep_to_the_rate() -> None:
    waits = Waits()
    clock = iter(range(1000))
    with serving(script(GOOD)) as chat:
        options = EndpointOptions(chat.url, requests_per_minute=6)
        EndpointEngine(options, LOCAL, wait=waits, now=lambda: float(next(clock))).propose(
            NOTE, 3, np.random.default_rng(0)
        )
    assert len(waits) == 2  # before the second and the third
    assert all(0 < wait <= 10 for wait in waits)


def test_the_key_comes_from_the_environment_and_is_seen_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CHART_KEY", "SECRET-KEY")
    with serving(script(Reply(status=500), GOOD)) as chat, caplog.at_level(logging.DEBUG, logger="mlflow_clinsec"):
        asked = engine(chat, api_key_env="CHART_KEY")
        asked.propose(NOTE, 1, np.random.default_rng(0))
    assert chat.keys == ["Bearer SECRET-KEY"] * 2
    assert "trying again" in caplog.text
    assert "SECRET" not in caplog.text + str(asked.settings) + repr(asked)
    assert "Canary" not in caplog.text


def test_a_key_that_is_missing_or_pasted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHART_KEY", raising=False)
    with pytest.raises(ConfigError, match="'CHART_KEY' is not set"):
        EndpointEngine(EndpointOptions("http://127.0.0.1/", api_key_env="CHART_KEY"), LOCAL)
    with pytest.raises(ConfigError, match="name of an environment variable") as caught:
        EndpointOptions("http://127.0.0.1/", api_key_env="sk-SECRET")
    assert "SECRET" not in str(caught.value)


def test_an_interrupted_audit_goes_on_from_its_cache(tmp_path: Path) -> None:
    data = AuditData(("",) * 2, (NOTE, "She has HTN and CAD and takes aspirin 81 mg daily."), np.arange(2))
    options = ParaphraseOptions(count=1, cache=str(tmp_path / "kept"))

    def run(chat: ChatServer) -> Any:
        fresh = np.random.default_rng(0)
        return paraphrase_records(data, options, fresh, engine=engine(chat, retries=0))

    second = "She takes aspirin 81 mg daily and has HTN and CAD."
    with serving(script(GOOD, Reply(status=500), second)) as chat:
        with pytest.raises(EngineError, match="next audit goes on"):
            run(chat)
        made = run(chat)
        assert made.responses == (GOOD, second)
        assert len(chat.requests) == 3  # the first record was not asked for again
        again = run(chat)
        assert len(chat.requests) == 3
    assert again.responses == made.responses
    assert again.tried.tolist() == made.tried.tolist()


def test_unencrypted_addresses_beyond_this_machine_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    EndpointEngine(EndpointOptions("http://llm.ward/v1"), ("llm.ward",))
    assert "unencrypted" in caplog.text
