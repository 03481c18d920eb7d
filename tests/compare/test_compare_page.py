"""The page: what it says of the runs, what it warns of, and that nothing in it can act."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import audit_factories as held
import pytest

from mlflow_clinsec.audit import versions
from mlflow_clinsec.compare.audits import Audit
from mlflow_clinsec.compare.difference import difference
from mlflow_clinsec.compare.note import MOST_ROWS, to_note
from mlflow_clinsec.compare.page import UTILITIES, render_page
from mlflow_clinsec.results import Decision, Estimate, Family

UNDECIDED = Decision.INCONCLUSIVE


class Page(HTMLParser):
    """Tags and visible text of a page; cells of its tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.cells: list[list[str]] = []
        self._skip = self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._skip = tag == "style"
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self._inside = True
            self.cells[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._skip = False
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._skip:
            return
        self.text += data
        if self._inside:
            self.cells[-1][-1] += data.strip()


def three() -> list[Audit]:
    return [held.audit(held.made.ALL[name](), name) for name in ("passing", "privacy_fail", "backdoor_fail")]


def rows(page: Page) -> list[list[str]]:
    return [row for row in page.cells if row and row[0].isdigit()]


def test_rows_are_worst_first_with_verdict_figures_and_groups() -> None:
    page = Page(render_page(held.experiment(*three(), without=4), None))
    found = rows(page)
    assert [row[1].split("id-")[0] for row in found] == ["backdoor_fail", "privacy_fail", "passing"]
    assert [row[2][-4:] for row in found] == ["FAIL", "FAIL", "PASS"]
    assert found[1][3].startswith("0.957")
    assert found[1][5] == "–"  # no trigger test
    assert found[0][-3:] == ["D1", "C1", "7"]
    assert "4 further runs hold no audit" in page.text
    assert "Read with care" not in page.text


@pytest.mark.parametrize(
    ("changed", "warning"),
    [
        ({"data": ("other",)}, "on 2 data sets"),
        ({"data": ()}, "Of 1 of them it is not known on what data"),
        ({"config_digest": "fe00"}, "with 2 configurations"),
        ({"versions": versions() | {"mlflow-clinsec": "0.0.9"}}, "by different versions"),
    ],
)
def test_runs_that_cannot_be_held_against_each_other_are_said_to_be(changed: dict[str, object], warning: str) -> None:
    first, *others = three()
    odd = replace(first, run=replace(first.run, **changed)) if "data" in changed else replace(first, **changed)  # type: ignore[arg-type]
    page = Page(render_page(held.experiment(odd, *others), None))
    assert "Read with care" in page.text
    assert warning in page.text


def test_figures_are_drawn_where_runs_have_both_numbers() -> None:
    audits = [replace(a, run=replace(a.run, metrics={"held_out/nll": 3.0, "held_out/nll_low": 2.9})) for a in three()]
    page = Page(render_page(held.experiment(*audits), None))
    alts = [attrs["alt"] or "" for tag, attrs in page.tags if tag == "img"]
    assert len(alts) == 4
    assert "2 runs" in alts[0]  # the leaking language model has no AUROC
    assert "3 runs" in alts[1]
    assert "Highest: run 2 at 0.957, across 3.000" in alts[1]
    assert all(attrs["src"].startswith("data:image/png;base64,") for tag, attrs in page.tags if tag == "img")  # type: ignore[union-attr]


def test_no_figure_without_points() -> None:
    audits = [held.audit(held.made.privacy_fail(), "only")]
    assert "<img" not in render_page(held.experiment(*audits), None)


def test_a_utility_of_ones_own() -> None:
    audits = [replace(a, run=replace(a.run, metrics={"f1": 0.5})) for a in three()]
    page = Page(render_page(held.experiment(*audits), None, ("f1",)))
    assert any("f1: higher is better" in (attrs.get("alt") or "") for _, attrs in page.tags)
    assert "0.871" not in " ".join(rows(page)[0])


def test_what_changed_between_two() -> None:
    before, after = held.audit(held.made.privacy_fail(), "old"), held.audit(held.made.passing(), "new")
    after = replace(after, settings=dict(after.settings) | {"policy.max_auc": "0.9"})
    page = Page(render_page(held.experiment(before, after), difference(before, after)))
    assert "What changed from old to new" in page.text
    told = {row[0]: row[1:] for row in page.cells if row}
    assert told["Strongest privacy attack, AUCprivacy/worst_auc"][2] == "-0.445"  # title over key
    assert told["policy.max_auc"] == ["0.6", "0.9"]
    assert told["AUC of the worst attackmax_auc"] == ["FAIL at a limit of 0.6", "PASS at a limit of 0.6"]
    assert told["Privacy: recallprivacy/recall"][0].startswith("failed")
    assert "a figure that moved need not mean that the model did" in page.text


def test_a_change_too_small_to_show_has_no_sign() -> None:
    before = held.audit(held.made.privacy_fail(), "old")
    figure = before.figures["privacy/worst_auc"]
    moved = dict(before.figures) | {"privacy/worst_auc": replace(figure, value=figure.value - 0.0001)}
    page = Page(render_page(held.experiment(before), difference(before, replace(before, figures=moved))))
    assert [row[3] for row in page.cells if row and row[0].endswith("privacy/worst_auc")] == ["below 0.001"]


def test_what_could_not_be_computed_is_shown_with_its_reason() -> None:
    report = held.made.inconclusive()
    few = Estimate.undefined("needs at least 100 non-members, got 40")
    verdict = report.verdicts[Family.PRIVACY]
    checks = (*verdict.checks, held.made.check("max_tpr_at_1pct_fpr", Family.PRIVACY, "none", few, 0.05, UNDECIDED))
    undecided = held.audit(replace(report, verdicts={Family.PRIVACY: replace(verdict, checks=checks)}), "few")
    alone = Page(render_page(held.experiment(undecided), None))
    assert any(few.reason in cell for cell in rows(alone)[0])
    both = Page(render_page(held.experiment(undecided), difference(undecided, held.audit(report, "other"))))
    assert [f"INCONCLUSIVE at a limit of 0.05: {few.reason}", "not checked"] in [row[1:] for row in both.cells]


def test_a_model_is_named_where_its_run_has_another_name() -> None:
    audit = held.audit(held.made.passing(), "weekly audit")
    assert f"model {audit.model}" in rows(Page(render_page(held.experiment(audit), None)))[0][1]
    alike = held.audit(held.made.passing(), audit.model)
    assert "model " not in rows(Page(render_page(held.experiment(alike), None)))[0][1]


def test_what_was_left_out_is_named() -> None:
    page = Page(render_page(held.experiment(*three(), refused=(("<b>odd</b>", "audit.json is not JSON"),)), None))
    assert "1 audits could not be read" in page.text
    assert ["<b>odd</b>", "audit.json is not JSON"] in page.cells


def test_nothing_from_a_run_becomes_markup() -> None:
    hostile = held.audit(
        held.made.hostile(),
        held.HOSTILE,
        held.HOSTILE,
        params={held.HOSTILE: held.HOSTILE},
        tags={held.HOSTILE: "x"},
        metrics={held.HOSTILE: 0.5},
        data=(held.HOSTILE,),
    )
    experiment = replace(held.experiment(hostile, *three(), refused=((held.HOSTILE, held.HOSTILE),)), name=held.HOSTILE)
    html = render_page(experiment, difference(hostile, three()[0]), (held.HOSTILE, *UTILITIES))
    page = Page(html)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "iframe", "link", "object", "form", "svg"})
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]
    assert not re.search(r"(src|href)=\"(?!data:image/png|#)", html)
    assert "alert('x')" in page.text


def test_the_same_audits_give_the_same_page() -> None:
    assert render_page(held.experiment(*three()), None) == render_page(held.experiment(*three()[::-1]), None)


def test_the_note_holds_the_worst_and_says_how_many_more() -> None:
    many = [held.audit(held.made.passing(), f"run {i}") for i in range(MOST_ROWS + 5)]
    note = to_note(held.experiment(held.audit(held.made.privacy_fail(), "a|b<i>"), *many))
    first = note.splitlines()[2]
    assert first.startswith(r"| a\|b&lt;i&gt; | FAIL | 0.957")
    assert "6 further audits" in note
    assert len(note) < 8000
