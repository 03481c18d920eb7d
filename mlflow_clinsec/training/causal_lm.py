"""Fine-tuning of a causal language model on answers, as Llemr was tuned: prompts are read, not learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.scoring.encode import EncodedPair, encode_pairs
from mlflow_clinsec.training.batching import IntArray, attention_mask, pad
from mlflow_clinsec.training.encoding import require_text
from mlflow_clinsec.training.loop import AfterEpoch, TrainingHistory, train
from mlflow_clinsec.training.options import TrainingOptions


def finetune_causal_lm(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    responses: Sequence[str],
    options: TrainingOptions,
    after_epoch: AfterEpoch = lambda: False,
) -> TrainingHistory:
    """Fine-tune in place on the mean NLL of the answer tokens, the very tokens that an audit scores.

    For LoRA, wrap the model with :func:`~mlflow_clinsec.training.models.with_lora` first.

    Args:
        model: a causal LM.
        prompts: n prompts; "" trains on the whole response as plain text.
        responses: n answers.
        after_epoch: may end the training early; see :mod:`mlflow_clinsec.training.early_stopping`.

    Raises:
        DataError: a response is empty.
        ClinSecError: the loss diverged.
    """
    pairs = training_pairs(tokenizer, prompts, responses, options.max_length)

    def batch_loss(batch: IntArray) -> Mapping[str, Tensor]:
        return {"loss": answer_nll(model, [pairs[i] for i in batch], tokenizer.pad_token_id)}

    return train(model, [len(pair) for pair in pairs], batch_loss, options, "causal-lm", after_epoch)


def training_pairs(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], responses: Sequence[str], max_length: int
) -> list[EncodedPair]:
    """Tokenised pairs; one longer than ``max_length`` loses the beginning of its prompt, so that its answer stays.

    Raises:
        DataError: a response is empty.
    """
    require_text(responses, "response")
    return [last_tokens(pair, max_length) for pair in encode_pairs(tokenizer, prompts, responses)]


def last_tokens(pair: EncodedPair, count: int) -> EncodedPair:
    """The last ``count`` tokens of a pair; the first of them is not scored, since nothing comes before it."""
    scored = pair.scored[-count:].copy()
    scored[0] = False
    return EncodedPair(pair.input_ids[-count:], scored)


def answer_nll(model: PreTrainedModel, pairs: Sequence[EncodedPair], pad_id: int) -> Tensor:
    """Mean NLL over all answer tokens of the pairs, in nats."""
    logits, targets, answered = answer_logits(model, pairs, pad_id, model.device)
    return functional.cross_entropy(logits[answered].float(), targets[answered])


def answer_logits(
    model: nn.Module, pairs: Sequence[EncodedPair], pad_id: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, the tokens that they predict, and which of these are answer tokens; shapes (rows, places, ...).

    The output layer is half of a small model's work: it is run from the first answer token of the batch on. Positions
    are spelled out row by row, because per-row gradients of learned positions need them so.
    """
    ids = [pair.input_ids.tolist() for pair in pairs]
    inputs = pad(ids, pad_id, device)
    answered = pad([pair.scored.tolist() for pair in pairs], 0, device).bool()[:, 1:]
    first = int(answered.any(dim=0).int().argmax())
    logits = model(
        input_ids=inputs,
        attention_mask=attention_mask(ids, device),
        position_ids=torch.arange(inputs.shape[1], device=device).expand(len(ids), -1),
        logits_to_keep=inputs.shape[1] - first,
    ).logits[:, :-1]
    return logits, inputs[:, first + 1 :], answered[:, first:]
