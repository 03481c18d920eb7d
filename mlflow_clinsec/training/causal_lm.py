"""Fine-tuning of a causal language model on answers, as Llemr was tuned: prompts are read, not learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.scoring.encode import EncodedPair, encode_pairs
from mlflow_clinsec.training.batching import IntArray, attention_mask, pad
from mlflow_clinsec.training.encoding import require_text
from mlflow_clinsec.training.loop import TrainingHistory, train
from mlflow_clinsec.training.options import TrainingOptions


def finetune_causal_lm(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    responses: Sequence[str],
    options: TrainingOptions,
) -> TrainingHistory:
    """Fine-tune in place on the mean NLL of the answer tokens, the very tokens that an audit scores.

    A pair longer than ``max_length`` loses the beginning of its prompt, so that its answer stays. For LoRA,
    wrap the model with :func:`~mlflow_clinsec.training.models.with_lora` first.

    Args:
        model: a causal LM.
        prompts: n prompts; "" trains on the whole response as plain text.
        responses: n answers.

    Raises:
        DataError: a response is empty.
        ClinSecError: the loss diverged.
    """
    require_text(responses, "response")
    pairs = [last_tokens(pair, options.max_length) for pair in encode_pairs(tokenizer, prompts, responses)]

    def batch_loss(batch: IntArray) -> Mapping[str, Tensor]:
        return {"loss": answer_nll(model, [pairs[i] for i in batch], tokenizer.pad_token_id)}

    return train(model, [len(pair) for pair in pairs], batch_loss, options, "causal-lm")


def last_tokens(pair: EncodedPair, count: int) -> EncodedPair:
    """The last ``count`` tokens of a pair; the first of them is not scored, since nothing comes before it."""
    scored = pair.scored[-count:].copy()
    scored[0] = False
    return EncodedPair(pair.input_ids[-count:], scored)


def answer_nll(model: PreTrainedModel, pairs: Sequence[EncodedPair], pad_id: int) -> Tensor:
    """Mean NLL over all answer tokens of the pairs, in nats."""
    ids = [pair.input_ids.tolist() for pair in pairs]
    inputs = pad(ids, pad_id, model.device)
    answered = pad([pair.scored.tolist() for pair in pairs], 0, model.device).bool()[:, 1:]
    # The output layer is half of a small model's work: run it from the first answer token on.
    first = int(answered.any(dim=0).int().argmax())
    logits = model(
        input_ids=inputs,
        attention_mask=attention_mask(ids, model.device),
        logits_to_keep=inputs.shape[1] - first,
    ).logits[:, :-1]
    kept = answered[:, first:]
    return functional.cross_entropy(logits[kept].float(), inputs[:, first + 1 :][kept])
