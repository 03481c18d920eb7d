"""A reference model from a local folder: one that has not seen the members."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlflow_clinsec.errors import TargetError


def load_checkpoint(folder: Path) -> tuple[Any, Any]:
    """Model and tokeniser of a transformers checkpoint. Nothing is fetched, and no code of its own is run.

    Raises:
        TargetError: no causal language model is there, or it needs code of its own.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    refuse_own_code(folder)
    settings = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, **settings)
        return model.eval(), AutoTokenizer.from_pretrained(folder, **settings)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise TargetError(
            f"privacy.reference: {str(folder)!r} holds no causal language model with its tokeniser "
            f"({type(error).__name__})"
        ) from error


def refuse_own_code(folder: Path) -> None:
    """A checkpoint whose configuration maps classes to files of its own asks to run those files.

    Raises:
        TargetError: it does.
    """
    for path in sorted(folder.rglob("*config.json")):
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if isinstance(settings, dict) and settings.get("auto_map"):
            raise TargetError(
                f"privacy.reference: {path.name} asks for code of its own (trust_remote_code), which is never run"
            )
