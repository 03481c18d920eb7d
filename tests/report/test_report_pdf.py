"""The PDF: whole, the same for the same report, with text that can be read out, and nothing that acts."""

from __future__ import annotations

import html
import io
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import report_factories as made

from mlflow_clinsec.report import legends
from mlflow_clinsec.report.card import render_card
from mlflow_clinsec.report.figures import draw_figures
from mlflow_clinsec.report.page_parts import Table
from mlflow_clinsec.report.page_tables import subgroups
from mlflow_clinsec.report.pdf import WIDEST, to_pdf, widths
from mlflow_clinsec.results import AuditReport, Estimate

pypdf = pytest.importorskip("pypdf")


def read(pdf: bytes) -> Any:
    return pypdf.PdfReader(io.BytesIO(pdf))


def text(report: AuditReport) -> str:
    """The text of all pages, line breaks as spaces."""
    return " ".join(" ".join(page.extract_text() for page in read(to_pdf(report)).pages).split())


def test_the_verdict_comes_first_and_the_sign_off_last() -> None:
    said = text(made.privacy_fail())
    order = (
        "✕ FAIL",
        "This model failed the audit: attack log_ratio reaches AUC 0.957 (0.937 to 0.977), above the limit of 0.600.",
        "Membership: leak.",
        "Policy checks",
        "What the attacker was assumed to see",
        "What this sample could have detected",
        "Membership attacks, strongest first",
        "What was not run, and why",
        "Where the split comes from",
        "Rewrites that passed the fidelity gate",
        "Where these findings stand in published frameworks",
        "EDPB Opinion 28/2024",
        "Provenance",
        "Reviewed by:",
    )
    places = [said.index(words) for words in order]
    assert places == sorted(places)


def test_numbers_stand_with_intervals_and_readings() -> None:
    said = text(made.backdoor_fail())
    assert "0.906 0.866 to 0.946" in said
    assert "100 of 100 turned; 9 of 100 with placebo words" in said
    further = said[said.index("Further figures of the same triggers") : said.index("Survival: share of inputs")]
    assert "mn head, to alive 1.000 1.000 0.980" in further
    drift = said[said.index("Excess drift") : said.index("A share of 1 is all")]
    assert "2 4 0.481 0.471 to 0.491" in drift
    assert "One head gives it 62 of 100 parts of its attention" in said
    assert "needs gradients: not offered by a pyfunc target" in said
    assert "configuration 9f2c44d1a0b37e55, seed 7" in said
    assert "Right on 90 of 100 clean records." in said


def test_small_counts_and_scores_are_nowhere() -> None:
    said = text(made.inconclusive())
    assert "<11" in said
    assert " 52 " not in said  # would give the 8 non-members away
    assert "12345" not in text(made.privacy_fail())


def test_figures_are_in_it_with_words_for_them() -> None:
    report = made.backdoor_fail()
    figures = draw_figures(report)
    document = read(to_pdf(report, figures))
    assert sum(len(page.images) for page in document.pages) == len(figures) == 4
    assert len(document.outline) > 8


def test_same_report_same_bytes() -> None:
    report = made.hostile()
    assert to_pdf(report) == to_pdf(report)
    assert read(to_pdf(report)).metadata.creation_date.isoformat() == report.started


@pytest.mark.parametrize("name", made.ALL)
def test_nothing_in_it_links_or_runs(name: str) -> None:
    document = read(to_pdf(made.ALL[name]()))
    assert "/OpenAction" not in document.trailer["/Root"] or not isinstance(
        document.trailer["/Root"]["/OpenAction"], dict
    )
    assert not any(page.get("/Annots") for page in document.pages)
    assert "/AcroForm" not in document.trailer["/Root"]


def test_hostile_strings_are_shown_as_text() -> None:
    said = text(made.hostile())
    assert "<script>alert('x')</script>" in said
    assert "[U+200B][U+202E]cf" in said


def test_characters_that_the_font_lacks_are_spelled_out() -> None:
    odd = replace(made.passing(), model_name="患者 🏥 \x07 \ud800 naïve", started="never")
    said = text(odd)
    assert "[U+60A3][U+8005] [U+1F3E5] [U+0007] [U+D800] naïve" in said


def test_words_longer_than_a_page_is_wide_do_no_harm() -> None:
    long = replace(made.backdoor_fail(), model_name="x" * 5000, versions={"y" * 500: "z" * 500})
    assert len(read(to_pdf(long)).pages) < 12


def test_columns_fit_their_words_and_no_column_takes_all() -> None:
    table = Table("", ("p", "Words"), [("<0.001", "word " * 60), ("0.5", "short")])
    narrow, wide = widths(table)
    assert narrow == len("<0.001") + 3
    assert wide == WIDEST + 3


def test_fpdf_is_imported_only_when_it_is_needed() -> None:
    script = "import sys, mlflow_clinsec.report.files; assert 'fpdf' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_words_in_capitals_get_the_room_they_take() -> None:
    capital, small = widths(Table("", ("a", "b"), [("INCONCLUSIVE", "inconclusive")]))
    assert capital > small
    assert widths(Table("", ("Trigger",), [("mn",)])) > widths(Table("", ("",), [("trigger",)]))


def test_subgroups_stand_with_their_counts_the_small_ones_withheld() -> None:
    found = Estimate(0.68, 0.61, 0.75, 94)
    row = {"column": "sex", "level": "F", "attack": "per_class", "auc": found, "tpr_at_1pct_fpr": 0.074}
    table = subgroups(
        [{**row, "n_members": 94, "n_nonmembers": "withheld"}, {**row, "n_members": 5, "n_nonmembers": 90}], "95%", 11
    )
    assert table.headings == ("Group", "Members", "Non-members", "AUC", "TPR at 1% FPR")
    assert [row[:3] for row in table.rows] == [("sex: F", "94", "withheld"), ("sex: F", "<11", "90")]
    assert table.rows[0][3:] == ("0.680\n0.610 to 0.750", "0.074")


def test_what_the_columns_mean_is_said_in_the_words_of_the_card() -> None:
    report = made.backdoor_fail()
    said, card = text(report), " ".join(html.unescape(render_card(report)).split())
    for legend in (legends.CHECKS, legends.POWER, legends.attacks(True, True), legends.TRIGGERS, legends.FOCUS):
        assert legend in said
        assert legend in card
