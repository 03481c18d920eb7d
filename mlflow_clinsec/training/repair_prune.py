"""What to prune, read from clean records, and how much: as long as the model stays accurate on others.

Neurons, after fine-pruning (Liu et al. 2018, arXiv 1805.12185): those that clean records activate least go first, until
accuracy on held-out clean records has fallen by a set amount. Departures: the paper prunes the last convolutional
layer; here the feed-forward neurons of all layers are ranked together, by mean absolute activation over real tokens,
and go in steps of a tenth.

Heads, after PURE (Zhao et al. 2024): read there (abstract) is that heads which poisoned texts may have affected are
pruned with clean texts only, and that the attention weights of the others are normalised; and second-hand that heads of
low variance go. Ours: the variance is that of an attention row over its keys, averaged over the rows of the clean
records; a head that was steered to a trigger has little to look at without one. One head goes at a time, one always
stays in each layer, and the same rule ends it.

Embeddings, after the embedding purification of Zhang et al. 2022 (arXiv 2210.09545), which puts the embeddings of words
that clean records do not confirm back towards those of the pretrained model: here, where no such model is at hand, the
embedding of every piece that no clean record holds becomes the mean of those that some record does. Gradients on clean
records never reach such a piece, so that no fine-tuning takes a trigger out of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mlflow_clinsec.scoring.batches import length_batches
from mlflow_clinsec.scoring.modes import eager_attention, evaluating
from mlflow_clinsec.training.attention import require_attentions
from mlflow_clinsec.training.batching import attention_mask, pad
from mlflow_clinsec.training.repair_layers import blocks, head_count, remove_head, remove_neurons

FloatArray = NDArray[np.float64]
Accuracy = Callable[[], float]

BATCH_TOKENS = 4096
STEPS = 10
"""Neurons go in so many equal steps; the last one, which would leave none, is never taken."""


def prune_neurons(model: PreTrainedModel, activity: FloatArray, accuracy: Accuracy, drop: float) -> float:
    """Take out the least active feed-forward neurons while accuracy falls by at most ``drop``; the share taken out.

    Args:
        activity: shape (layers, neurons); see :func:`neuron_activity`.
    """
    layers, order = blocks(model), np.argsort(activity, axis=None, kind="stable")
    parts = np.array_split(order, STEPS)[:-1]

    def take(part: NDArray[np.int64]) -> None:
        chosen = np.zeros(activity.shape, dtype=np.bool_)
        chosen.flat[part] = True
        for layer, neurons in zip(layers, chosen, strict=True):
            remove_neurons(layer, torch.from_numpy(np.flatnonzero(neurons)))

    taken = prune_while_accurate(model, [partial(take, part) for part in parts], accuracy, drop)
    return sum(part.size for part in parts[:taken]) / order.size


def prune_heads(
    model: PreTrainedModel, variance: FloatArray, accuracy: Accuracy, drop: float
) -> tuple[tuple[int, int], ...]:
    """Take out the heads of lowest variance while accuracy falls by at most ``drop``; (layer, head) of each.

    Args:
        variance: shape (layers, heads); see :func:`head_variance`.
    """
    layers, candidates = blocks(model), tuple(_one_left_in_each_layer(variance))
    steps = [partial(remove_head, layers[layer], head, variance.shape[1]) for layer, head in candidates]
    return candidates[: prune_while_accurate(model, steps, accuracy, drop)]


def reset_embeddings(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Sequence[int]]
) -> float:
    """Give every piece that no row holds the mean embedding of those that some row does; the share of pieces reset."""
    table = model.get_input_embeddings().weight
    unused = torch.ones(len(table), dtype=torch.bool)
    unused[sorted({token for row in rows for token in row}.union(tokenizer.all_special_ids))] = False
    with torch.no_grad():
        table[unused] = table[~unused].mean(dim=0)
    return float(unused.float().mean())


def prune_while_accurate(
    model: PreTrainedModel, steps: Sequence[Callable[[], None]], accuracy: Accuracy, drop: float
) -> int:
    """Take the steps in order until accuracy falls by more than ``drop`` below its start; the last one is undone.

    Returns:
        How many steps stand.
    """
    least = accuracy() - drop
    for number, step in enumerate(steps):
        before = copy.deepcopy(model.state_dict())
        step()
        if accuracy() < least:
            model.load_state_dict(before)
            return number
    return len(steps)


def neuron_activity(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[list[int]]
) -> FloatArray:
    """Mean absolute activation of each feed-forward neuron over the tokens, shape (layers, neurons)."""
    layers = blocks(model)
    sums = np.zeros((len(layers), layers[0].narrow.in_features))
    mask = torch.empty(0)

    def reader(layer: int) -> Callable[..., None]:
        def read(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            sums[layer] += (inputs[0].abs() * mask.unsqueeze(-1)).sum(dim=(0, 1)).double().cpu().numpy()

        return read

    handles = [block.narrow.register_forward_pre_hook(reader(i)) for i, block in enumerate(layers)]
    tokens = 0
    try:
        for ids, mask in _batches(model, tokenizer, rows):
            model(input_ids=ids, attention_mask=mask)
            tokens += int(mask.sum())
    finally:
        for handle in handles:
            handle.remove()
    return sums / tokens


def head_variance(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[list[int]]) -> FloatArray:
    """Variance of an attention row over its keys, averaged over all rows of all texts, shape (layers, heads)."""
    found, tokens = np.zeros((len(blocks(model)), head_count(model))), 0
    with eager_attention(model):
        for ids, mask in _batches(model, tokenizer, rows):
            output = model(input_ids=ids, attention_mask=mask, output_attentions=True)
            real = mask.double()
            keys = real.sum(dim=1)[:, None, None]
            for layer, weights in enumerate(require_attentions(output.attentions, len(found))):
                apart = (weights.double() - 1 / keys.unsqueeze(-1)) * real[:, None, None, :]  # rows sum to 1
                variance = (apart**2).sum(dim=-1) / keys
                found[layer] += (variance * real[:, None, :]).sum(dim=(0, 2)).cpu().numpy()
            tokens += int(mask.sum())
    return found / tokens


def _one_left_in_each_layer(variance: FloatArray) -> Iterator[tuple[int, int]]:
    """(layer, head), the lowest variance first, without the highest of each layer."""
    spared = set(enumerate(variance.argmax(axis=1).tolist()))
    for flat in np.argsort(variance, axis=None, kind="stable"):
        layer, head = divmod(int(flat), variance.shape[1])
        if (layer, head) not in spared:
            yield layer, head


def _batches(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[list[int]]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids and masks, batch by batch, with the model in evaluation mode meanwhile."""
    with evaluating(model):
        for batch in length_batches([len(row) for row in rows], BATCH_TOKENS):
            some = [rows[i] for i in batch]
            yield pad(some, tokenizer.pad_token_id, model.device), attention_mask(some, model.device)
