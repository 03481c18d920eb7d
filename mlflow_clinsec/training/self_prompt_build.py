"""From files to a self-prompt reference: what ``mlflow-clinsec self-prompt-reference`` does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.files import read_table
from mlflow_clinsec.read import text_column
from mlflow_clinsec.targets.huggingface import place
from mlflow_clinsec.targets.resolve_reference import load_pair, refuse_missing
from mlflow_clinsec.training.bases import load_base_causal_lm
from mlflow_clinsec.training.self_prompt import (
    SelfPromptOptions,
    WrittenText,
    answer_prompts,
    apart_from,
    continue_texts,
    tune_reference,
)


def build_reference(
    *,
    model_uri: str,
    base_model: str,
    data_path: str,
    output: str,
    text: str = "",
    prompt: str = "",
    audited_path: str = "",
    settings: Mapping[str, Any] | None = None,
) -> int:
    """Let the audited model write, tune the base on it, and save a checkpoint that ``privacy.reference`` takes.

    Args:
        model_uri: the audited model, MLflow URI or checkpoint folder.
        base_model: checkpoint folder of the model that it was tuned from, or one like it.
        data_path: table of same-domain text that is not audited.
        output: folder to write; it must not exist. It is for its owner only, since the model may have written
            what it was trained on.
        text, prompt: column of texts to continue, or of prompts to answer; one of the two.
        audited_path: table of the audited records, with the same column; near copies of them are left out.
        settings: of :class:`~mlflow_clinsec.training.self_prompt.SelfPromptOptions`.

    Returns:
        Number of texts that the base was tuned on.

    Raises:
        ClinSecError: what a user can mend.
    """
    if bool(text) == bool(prompt):
        raise ConfigError("self-prompt reference: name a column of texts or one of prompts, and not both")
    if Path(output).exists():
        raise ConfigError(f"output: {output!r} exists already; name a new folder")
    options = SelfPromptOptions(**(settings or {}))
    refuse_missing([model_uri], "model")
    texts = _read(data_path, text or prompt)
    if audited_path:
        texts = apart_from(texts, _read(audited_path, text or prompt))
    base, base_tokenizer = load_base_causal_lm(base_model)
    written = _written(model_uri, texts, bool(prompt), options)
    give_back = place(base, "auto")
    tune_reference(base, base_tokenizer, written, options)
    give_back()
    folder = Path(output)
    folder.mkdir(mode=0o700, parents=True)
    base.save_pretrained(folder)
    base_tokenizer.save_pretrained(folder)
    return len(written.responses)


def _read(path: str, column: str) -> tuple[str, ...]:
    return text_column(read_table(path), column, "column")


def _written(model_uri: str, texts: tuple[str, ...], answering: bool, options: SelfPromptOptions) -> WrittenText:
    model, tokenizer = load_pair(model_uri, "causal language model", "model")
    place(model, "auto")
    write = answer_prompts if answering else continue_texts
    return write(model, tokenizer, texts, options)
