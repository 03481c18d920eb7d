"""Edits that replace a lexicon form by another form of the same concept, in the case and with the article that fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mlflow_clinsec.perturb.edits import Edit
from mlflow_clinsec.perturb.phrases import Token
from mlflow_clinsec.perturb.vocabulary import Form, Hit, Lexicon, number_follows, read_rows

# "metoprolol tartrate": a salt belongs to the generic name, so the name before it stays.
_SALTS = frozenset(line for _, line in read_rows("salts.tsv"))
_SPELLED_WITH_VOWEL = frozenset("AEFHILMNORSX")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|\n\s*(?:\d+[.)]\s*|[-*]\s*)?)$")


def term_edits(text: str, tokens: Sequence[Token], lexicon: Lexicon) -> Iterator[Edit]:
    """One edit per lexicon match that has another form to offer."""
    for hit in lexicon.find(tokens):
        if hit.entry.category == "drug" and _is_salt(tokens, hit.stop):
            continue
        forms = [form for form in hit.entry.forms if _may_write(form, hit, tokens)]
        if forms:
            yield _edit(text, tokens, hit, forms)


def _is_salt(tokens: Sequence[Token], position: int) -> bool:
    return position < len(tokens) and tokens[position].lower in _SALTS


def _may_write(form: Form, hit: Hit, tokens: Sequence[Token]) -> bool:
    if not form.written or form.text.lower() == hit.form.text.lower():
        return False
    return not form.before_number or number_follows(tokens, hit.stop)


def _edit(text: str, tokens: Sequence[Token], hit: Hit, forms: Sequence[Form]) -> Edit:
    start, end = tokens[hit.start].start, tokens[hit.stop - 1].end
    written = [in_case_of(text, start, end, hit.form, form.text) for form in forms]
    article = tokens[hit.start - 1] if hit.start else None
    if article is None or article.lower not in ("a", "an") or text[article.end : start] != " ":
        return Edit(start, end, tuple(written))
    options = (f"{_in_case(article.text, indefinite_article(word))} {word}" for word in written)
    return Edit(article.start, end, tuple(options))


def in_case_of(text: str, start: int, end: int, form: Form, target: str) -> str:
    """``target`` in the case that text[start:end], an instance of ``form``, was written in."""
    source = text[start:end]
    shouted = source.isupper() and not form.text.isupper() and sum(map(str.isalpha, source)) > 3
    if shouted or (source.isupper() and _line_is_upper(text, start, end)):
        return target.upper()
    lowered = target.islower()
    words = re.findall(r"[^\W\d_]+", source)
    if lowered and len(words) > 1 and all(word[0].isupper() for word in words) and not form.text[0].isupper():
        return target.title() if "'" not in target else target.capitalize()
    raised = source[0].isupper() and (not form.text[0].isupper() or starts_sentence(text, start))
    return target[0].upper() + target[1:] if raised and lowered else target


def starts_sentence(text: str, position: int) -> bool:
    """Whether a sentence, a line or what follows a header's colon starts at ``position``."""
    return _SENTENCE_START.search(text, max(0, position - 12), position) is not None


def _line_is_upper(text: str, start: int, end: int) -> bool:
    """Whether everything else on the line is in capitals too."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    others = text[first:start] + text[end : last if last >= 0 else len(text)]
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
