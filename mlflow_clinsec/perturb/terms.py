"""Edits that replace a lexicon form by another form of the same concept, in the case and with the article that fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from mlflow_clinsec.perturb.edits import Edit
from mlflow_clinsec.perturb.phrases import Token, is_bounded
from mlflow_clinsec.perturb.vocabulary import Form, Hit, number_follows, read_rows

# "metoprolol tartrate": a salt belongs to the generic name, so the name before it stays.
_SALTS = frozenset(line for _, line in read_rows("salts.tsv"))
# Words after which "sodium" is measured; after any other ("docusate sodium") it is a salt.
_BEFORE_LAB = frozenset(
    {"serum", "plasma", "the", "a", "his", "her", "and", "with", "of", "had", "has", "showed", "were"}
)
_NO_ARTICLE_BEFORE = frozenset({"a", "an", "the", "in", "at", "on", "with", "as"})
_LOWER_IN_TITLES = frozenset({"of", "in", "the", "with", "to", "and", "for", "on", "by"})
_SPELLED_WITH_VOWEL = frozenset("AEFHILMNORSX")
_AROUND = 60
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|\n\s*(?:\d+[.)]\s*|[-*]\s*)?)$")


def term_edits(text: str, tokens: Sequence[Token], hits: Sequence[Hit]) -> Iterator[Edit]:
    """One edit per lexicon match that has another form to offer."""
    glossed = _glossed(tokens, hits)
    for hit in hits:
        forms = [form for form in hit.entry.forms if _may_write(form, hit, tokens)]
        if forms and hit.start not in glossed and _stands_alone(text, tokens, hit):
            yield _edit(text, tokens, hit, forms)


def _glossed(tokens: Sequence[Token], hits: Sequence[Hit]) -> set[int]:
    """Starts of hits that explain each other, as in "deep vein thrombosis (DVT)"."""
    same = ((a, b) for a, b in pairwise(hits) if a.entry is b.entry and b.start - a.stop == 1)
    return {hit.start for a, b in same if tokens[a.stop].text == "(" for hit in (a, b)}


def _is_part_of_name(text: str, tokens: Sequence[Token], hit: Hit) -> bool:
    """Whether a capitalised form stands beside another capitalised word, as in "Genetic Testing Registry"."""
    first = tokens[hit.start]
    if hit.form.text != hit.form.text.lower() or not first.text.istitle() or starts_sentence(text, first.start):
        return False
    neighbours = [*tokens[max(hit.start - 1, 0) : hit.start], *tokens[hit.stop : hit.stop + 1]]
    return any(token.text.istitle() and not starts_sentence(text, token.start) for token in neighbours)


def _stands_alone(text: str, tokens: Sequence[Token], hit: Hit) -> bool:
    """Whether the form means its concept here: it is no part of a drug's salt, a name, or a longer header."""
    if hit.entry.category == "header":
        return starts_sentence(text, tokens[hit.start].start)
    if hit.entry.category == "drug" and hit.stop < len(tokens) and tokens[hit.stop].lower in _SALTS:
        return False
    if hit.entry.category == "lab" and hit.form.text in _SALTS and hit.start and tokens[hit.start - 1].is_word:
        return tokens[hit.start - 1].lower in _BEFORE_LAB
    return not _is_part_of_name(text, tokens, hit)


def _may_write(form: Form, hit: Hit, tokens: Sequence[Token]) -> bool:
    if not form.written or form.text.lower() == hit.form.text.lower():
        return False
    return not form.before_number or number_follows(tokens, hit.stop)


def _edit(text: str, tokens: Sequence[Token], hit: Hit, forms: Sequence[Form]) -> Edit:
    start, end = tokens[hit.start].start, tokens[hit.stop - 1].end
    written = [_with_stop(text, end, in_case_of(text, start, end, hit.form, form.text)) for form in forms]
    article = _article_before(text, tokens, hit.start)
    if article is None:
        return Edit(start, end, tuple(written))
    fitting = [word for word in written if word.split()[0].lower() not in _NO_ARTICLE_BEFORE]
    options = (f"{_in_case(article.text, indefinite_article(word))} {word}" for word in fitting)
    return Edit(article.start, end, tuple(options))


def _article_before(text: str, tokens: Sequence[Token], position: int) -> Token | None:
    """The "a" or "an" right before the token at ``position``, which must fit what is written there."""
    article = tokens[position - 1] if position else None
    if article is None or article.lower not in ("a", "an") or not is_bounded(tokens, position - 1, position):
        return None
    return article if text[article.end : tokens[position].start] == " " else None


def _with_stop(text: str, end: int, target: str) -> str:
    """``target`` with the full stop that the sentence needs: the last dot of "b.i.d." may also end it."""
    if text[end - 1] == "." and not target.endswith(".") and re.match(r"\s*(?:$|\n|[A-Z])", text[end:]):
        return f"{target}."
    return target[:-1] if target.endswith(".") and text[end : end + 1] == "." else target


def in_case_of(text: str, start: int, end: int, form: Form, target: str) -> str:
    """``target`` in the case that text[start:end], an instance of ``form``, was written in."""
    source = text[start:end]
    shouted = source.isupper() and not form.text.isupper() and sum(map(str.isalpha, source)) > 3
    if shouted or (source.isupper() and _line_is_upper(text, start, end)):
        return target.upper()
    lowered = target.islower()
    words = re.findall(r"[^\W\d_]+", source)
    if lowered and len(words) > 1 and all(word[0].isupper() for word in words) and not form.text[0].isupper():
        return " ".join(word if word in _LOWER_IN_TITLES else word.capitalize() for word in target.split())
    raised = source[0].isupper() and (not form.text[0].isupper() or starts_sentence(text, start))
    return target[0].upper() + target[1:] if raised and lowered else target


def starts_sentence(text: str, position: int) -> bool:
    """Whether a sentence, a line or what follows a header's colon starts at ``position``."""
    return _SENTENCE_START.search(text, max(0, position - 12), position) is not None


def _line_is_upper(text: str, start: int, end: int) -> bool:
    """Whether what stands around it on the line is in capitals too."""
    first = max(text.rfind("\n", 0, start) + 1, start - _AROUND)
    last = text.find("\n", end, end + _AROUND)
    others = text[first:start] + text[end : last if last >= 0 else end + _AROUND]
    return others.isupper()


def _in_case(source: str, target: str) -> str:
    return target.capitalize() if source[0].isupper() else target


def indefinite_article(word: str) -> str:
    """ "a" or "an"; abbreviations by the sound of their first letter ("an MRI", "a CT")."""
    first = re.match(r"[^\W\d_]+", word)
    spelled = first is not None and len(first.group()) > 1 and first.group().isupper()
    if spelled:
        return "an" if word[0] in _SPELLED_WITH_VOWEL else "a"
    return "an" if re.match(r"[aeio]|u(?!ni|re|ter|s[eu])|hour|[8]", word, re.IGNORECASE) else "a"
