"""A small phrase grammar: ``<a|b|c>`` draws one branch, ``{name}`` inserts a fact, branches may nest.

Outside a choice ``|`` and ``>`` stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_TOKEN = re.compile(r"[<|>]|\{\w+\}|[^<|>{}]+")
_SENTENCE_START = re.compile(r"(?:^|(?<=[\w%)\]][\w%)\]]\. ))[a-z]")


@dataclass(frozen=True)
class _Slot:
    name: str


@dataclass(frozen=True)
class _Choice:
    branches: tuple[tuple[_Node, ...], ...]


_Node = str | _Slot | _Choice


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of ``options``, uniformly. Far cheaper than ``rng.choice`` on a short tuple."""
    return options[int(rng.random() * len(options))]


def draw(rng: np.random.Generator, options: Sequence[T], count: int) -> tuple[T, ...]:
    """``count`` different positions of ``options`` in random order (all of them when there are fewer)."""
    return tuple(options[i] for i in rng.permutation(len(options))[:count])


def join_words(words: Sequence[str]) -> str:
    """The words as a list in a sentence: ``a, b and c``; empty for no words."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def capitalize_sentences(text: str) -> str:
    """Upper case for the first letter and for those after a full stop that ends a word of two letters or more."""
    return _SENTENCE_START.sub(lambda match: match[0].upper(), text)


@cache
def _parse(template: str) -> tuple[_Node, ...]:
    # Each frame on the stack is one open choice: its finished branches and the branch being read.
    stack: list[list[list[_Node]]] = [[[]]]
    for token in _TOKEN.findall(template):
        if token == "<":
            stack.append([[]])
        elif token == "|" and len(stack) > 1:
            stack[-1].append([])
        elif token == ">" and len(stack) > 1:
            branches = stack.pop()
            stack[-1][-1].append(_Choice(tuple(tuple(branch) for branch in branches)))
        elif token.startswith("{"):
            stack[-1][-1].append(_Slot(token[1:-1]))
        else:
            stack[-1][-1].append(token)
    if len(stack) > 1:
        raise ValueError(f"unclosed '<' in the phrase template {template!r}")
    return tuple(stack[0][0])


def _emit(nodes: tuple[_Node, ...], facts: Mapping[str, str], rng: np.random.Generator, out: list[str]) -> None:
    for node in nodes:
        if isinstance(node, str):
            out.append(node)
        elif isinstance(node, _Slot):
            out.append(facts[node.name])
        else:
            _emit(pick(rng, node.branches), facts, rng, out)


def expand(template: str, facts: Mapping[str, str], rng: np.random.Generator) -> str:
    """One sentence of the language of ``template``.

    Facts are inserted as they are: they are not read as templates again.

    Raises:
        KeyError: a slot has no fact.
        ValueError: a choice is not closed.
    """
    pieces: list[str] = []
    _emit(_parse(template), facts, rng, pieces)
    return "".join(pieces)
