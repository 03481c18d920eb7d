"""How alike two texts are to a local encoder: the cosine of their mean-pooled embeddings."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.errors import ConfigError

FloatArray = NDArray[np.float64]

_KEPT = 512
_WITHOUT_LIMIT = 100_000


class MeanPooledEncoder:
    """Mean of the last hidden states over all tokens, as sentence encoders such as MiniLM pool them.

    A text longer than the model takes is read in pieces, and the mean runs over the tokens of all of them.

    Args:
        folder: a transformers checkpoint with its tokeniser.

    Raises:
        ConfigError: no encoder is there, or it asks to run code of its own.
    """

    def __init__(self, folder: str) -> None:
        self._model, self._tokenizer = _load(Path(folder))
        stated = int(getattr(self._tokenizer, "model_max_length", _WITHOUT_LIMIT))
        positions = int(getattr(self._model.config, "max_position_embeddings", _WITHOUT_LIMIT))
        self._limit = min(stated, positions)
        self._embedding = functools.lru_cache(maxsize=_KEPT)(self._embed)

    @functools.cached_property
    def digest(self) -> str:
        """Fingerprint of the weights."""
        digest = hashlib.sha256()
        for name, weight in sorted(self._model.state_dict().items()):
            digest.update(name.encode() + weight.cpu().float().numpy().tobytes())
        return digest.hexdigest()[:16]

    def similarity(self, first: str, second: str) -> float:
        """Cosine in [-1, 1]; NaN when one of the texts holds no token."""
        one, other = self._embedding(first), self._embedding(second)
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))

    def _embed(self, text: str) -> FloatArray:
        """Sum over tokens of the hidden states, shape (width,): their number does not change a cosine."""
        import torch

        rows = self._tokenizer(
            text, truncation=True, max_length=self._limit, return_overflowing_tokens=True, verbose=False
        )["input_ids"]
        total: FloatArray = np.zeros(int(self._model.config.hidden_size))
        with torch.inference_mode():
            for ids in rows:
                if ids:
                    hidden = self._model(input_ids=torch.as_tensor([ids])).last_hidden_state
                    total += hidden[0].float().sum(dim=0).numpy()
        return total


@functools.cache
def load_encoder(folder: str) -> MeanPooledEncoder:
    """The encoder of a folder, read once."""
    return MeanPooledEncoder(folder)


def _load(folder: Path) -> tuple[Any, Any]:
    """Nothing is fetched, and no code that comes with a model is run."""
    from transformers import AutoModel, AutoTokenizer

    settings = {"local_files_only": True, "trust_remote_code": False}
    try:
        if not folder.is_dir():
            raise OSError
        return AutoModel.from_pretrained(folder, **settings).eval(), AutoTokenizer.from_pretrained(folder, **settings)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ConfigError(
            f"paraphrase.encoder: {str(folder)!r} is no local folder of an encoder with its tokeniser "
            f"({type(error).__name__})"
        ) from None
