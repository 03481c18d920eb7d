"""From (prompt, response) pairs to token ids and the mask of the tokens that are scored.

Auditing and training share this module, so that a model is scored on exactly the tokens it was trained on.
Prompt and response are tokenised as one text, as the model meets them, and the answer's tokens are found by
their character offsets: tokenising the two apart gives other tokens wherever a merge crosses the boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Scope = Literal["answer", "full"]


@dataclass(frozen=True, eq=False)
class EncodedPair:
    """One tokenised pair.

    Attributes:
        input_ids: shape (n_tokens,), int64.
        scored: shape (n_tokens,), True where the token's own log-probability counts. Never True at position
            0, which no model predicts.
    """

    input_ids: NDArray[np.int64]
    scored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.input_ids)


def render_prompt(tokenizer: Any, prompt: str) -> str:
    """The prompt as the model sees it before it answers.

    One user turn of the chat template, up to where the answer starts, when the tokeniser has a template; else
    the prompt and a line break. Plain text (an empty prompt) stays "".
    """
    if not prompt:
        return ""
    if not _has_template(tokenizer):
        return f"{prompt}\n"
    return _apply_template(tokenizer, [{"role": "user", "content": prompt}], add_generation_prompt=True)


def encode_pairs(
    tokenizer: Any, prompts: Sequence[str], responses: Sequence[str], scope: Scope = "answer"
) -> list[EncodedPair]:
    """Tokenise pairs and mark the scored tokens.

    With ``scope="answer"`` these are the tokens that hold a character of the response; a token that
    spans a boundary counts, since it cannot be predicted without the response. ``scope="full"`` marks every
    token that has one before it. The text ends with the answer: what a chat template puts behind it (an end of turn)
    is the same for every record and tells nothing. White space around an answer counts unless the template trims it.
    Plain text and prompts without a chat template start with BOS when the tokeniser has one, so that the first word
    is scored too; a chat template brings its own. Nothing is truncated here.

    Args:
        prompts: n prompts, "" for plain text.
        responses: n responses or plain texts.
        scope: which tokens are scored.

    Raises:
        ValueError: as many prompts as responses were not given.
    """
    separator = _answer_separator(tokenizer) if any(prompts) else ""
    rendered = [_render(tokenizer, p, r, separator) for p, r in zip(prompts, responses, strict=True)]
    bodies = _tokenise(tokenizer, rendered)
    encoded = []
    for prompt, (ids, in_answer) in zip(prompts, bodies, strict=True):
        scored = np.ones(len(ids), dtype=bool) if scope == "full" or not prompt else in_answer
        encoded.append(_finish(tokenizer, ids, scored, templated=bool(prompt) and _has_template(tokenizer)))
    return encoded


def encode_prompts(tokenizer: Any, prompts: Sequence[str]) -> list[NDArray[np.int64]]:
    """Token ids of rendered prompts alone, as generation continues them, n arrays of shape (n_tokens,)."""
    out = []
    for prompt in prompts:
        ids = tokenizer.encode(render_prompt(tokenizer, prompt), add_special_tokens=False) if prompt else []
        unscored = np.zeros(len(ids), dtype=bool)
        templated = bool(prompt) and _has_template(tokenizer)
        out.append(_finish(tokenizer, list(ids), unscored, templated).input_ids)
    return out


def _finish(tokenizer: Any, ids: list[int], scored: NDArray[np.bool_], templated: bool) -> EncodedPair:
    """Prepend BOS where it is due and not there yet; position 0 is never scored."""
    bos = tokenizer.bos_token_id
    if bos is not None and not templated and ids[:1] != [bos]:
        ids, scored = [bos, *ids], np.concatenate([[False], scored])
    scored = scored.copy()
    scored[:1] = False
    return EncodedPair(np.asarray(ids, dtype=np.int64), scored)


@dataclass(frozen=True)
class _Rendered:
    """A conversation as text, and the half-open character range of its answer."""

    text: str
    start: int
    stop: int


def _render(tokenizer: Any, prompt: str, response: str, separator: str) -> _Rendered:
    """Prompt and response as the model meets them, with whatever a chat template puts behind the answer.

    A template that does not write the answer as it is, blanks aside, gets it appended to its prompt.
    """
    head = render_prompt(tokenizer, prompt) + (separator if prompt else "")
    if prompt and _has_template(tokenizer):
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        whole = _apply_template(tokenizer, turns, add_generation_prompt=False)
        for answer in (response, response.strip()):
            if whole.startswith(head + answer):
                return _Rendered(whole, len(head), len(head) + len(answer))
    return _Rendered(head + response, len(head), len(head) + len(response))


def _tokenise(tokenizer: Any, rendered: Sequence[_Rendered]) -> list[tuple[list[int], NDArray[np.bool_]]]:
    """Ids up to the end of each answer without added special tokens, and which of them hold its characters."""
    if not rendered:
        return []
    if not getattr(tokenizer, "is_fast", False):
        return [_tokenise_apart(tokenizer, item) for item in rendered]
    texts = [item.text for item in rendered]
    batch = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    out = []
    for item, ids, offsets in zip(rendered, batch["input_ids"], batch["offset_mapping"], strict=True):
        starts, ends = np.asarray(offsets, dtype=np.int64).reshape(-1, 2).T
        kept = starts < item.stop  # cut behind the answer, inside no token
        out.append(([int(i) for i in np.asarray(ids)[kept]], ends[kept] > item.start))
    return out


def _tokenise_apart(tokenizer: Any, item: _Rendered) -> tuple[list[int], NDArray[np.bool_]]:
    """For tokenisers without character offsets: prompt and response one after the other."""
    head, response = item.text[: item.start], item.text[item.start : item.stop]
    before = tokenizer.encode(head, add_special_tokens=False) if head else []
    after = tokenizer.encode(response, add_special_tokens=False)
    return [*before, *after], np.arange(len(before) + len(after)) >= len(before)


def _has_template(tokenizer: Any) -> bool:
    return bool(getattr(tokenizer, "chat_template", None))


def _apply_template(tokenizer: Any, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)
    return str(rendered)


def _answer_separator(tokenizer: Any) -> str:
    """White space that the chat template puts between the generation prompt and the answer, such as the blank
    after ``[/INST]``: the model was trained with it, so leaving it out would score an unseen form."""
    if not _has_template(tokenizer):
        return ""
    asked = {"role": "user", "content": "q"}
    prompt = _apply_template(tokenizer, [asked], add_generation_prompt=True)
    answered = [asked, {"role": "assistant", "content": "a"}]
    whole = _apply_template(tokenizer, answered, add_generation_prompt=False)
    rest = whole.removeprefix(prompt)
    answer = rest.lstrip()
    return rest[: len(rest) - len(answer)] if rest != whole and answer.startswith("a") else ""
