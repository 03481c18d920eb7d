"""Settings of paraphrasing: what goes together, and errors that name the key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.config import AuditConfig
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.egress import host_of, refuse_egress
from mlflow_clinsec.perturb.engine import ENGINES, make_engine
from mlflow_clinsec.perturb.options import ENGINE_NAMES, ParaphraseOptions


def config(paraphrase: dict[str, Any], **privacy: Any) -> AuditConfig:
    return AuditConfig.from_mapping({"privacy": {"member": "m", "paraphrase": paraphrase, **privacy}})


@pytest.mark.parametrize(
    ("paraphrase", "message"),
    [
        ({"engine": "transformers"}, r"paraphrase\.transformers\.model"),
        ({"engine": "transformers", "transformers": {}}, "missing required key 'model'"),
        ({"engine": "endpoint"}, r"paraphrase\.endpoint\.url"),
        ({"engine": "masked"}, r"privacy\.masked_model"),
        ({"engine": "T5"}, "unknown engine 'T5'"),
        ({"transformers": {"model": "models:/m/1"}}, "engine is 'rules'"),
        ({"masked": {"share": 0.2}}, "engine is 'rules'"),
        ({"engine": "endpoint", "endpoint": {"url": "llm.example.org"}}, r"endpoint\.url: expected an address"),
        ({"engine": "endpoint", "endpoint": {"url": "file:///etc/passwd"}}, r"endpoint\.url: expected an address"),
        ({"engine": "endpoint", "endpoint": {"url": "https://x/", "retries": -1}}, "at least 0"),
        ({"engine": "endpoint", "endpoint": {"url": "https://x/", "api_key": "k"}}, "unknown key 'api_key'"),
        ({"engine": "endpoint", "endpoint": {"url": "https://x.org/v1?key=SECRET"}}, "holds a query"),
        ({"encoder": "somewhere"}, "'encoder' and 'min_similarity' go together"),
        ({"min_similarity": 0.8}, "'encoder' and 'min_similarity' go together"),
        ({"encoder": "e", "min_similarity": 1.5}, "at most 1"),
        ({"count": 0}, r"paraphrase\.count"),
    ],
)
def test_mistakes_are_named(paraphrase: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(paraphrase)


def test_a_password_in_an_address_is_refused_and_not_quoted() -> None:
    with pytest.raises(ConfigError, match="user name or password") as caught:
        config({"engine": "endpoint", "endpoint": {"url": "https://me:SECRET@x.org/"}})
    assert "SECRET" not in str(caught.value)


def test_an_engine_without_its_model_says_so() -> None:
    with pytest.raises(ConfigError, match=r"privacy\.masked_model"):
        make_engine(ParaphraseOptions(engine="masked"))
    assert tuple(ENGINES) == ENGINE_NAMES


def test_an_encoder_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"paraphrase\.encoder: '/no/such/folder'"):
        ParaphraseOptions(encoder="/no/such/folder", min_similarity=0.5).gate()


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        host = host_of(text, "url")
    except ConfigError:
        return
    assert host
    assert host.lower() == host
    with pytest.raises(ConfigError, match="allow_egress"):
        refuse_egress(text, "url", ())


@given(st.from_regex(r"[a-z][a-z0-9.-]{0,20}[a-z0-9]", fullmatch=True), st.text(max_size=5))
def test_only_the_very_host_is_allowed(host: str, extra: str) -> None:
    refuse_egress(f"https://{host}/v1", "url", (host,))
    if extra:
        with pytest.raises(ConfigError):
            refuse_egress(f"https://{host}/v1", "url", (host + extra, extra + host))
