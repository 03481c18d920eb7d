"""``mlflow-clinsec cohort``: a private file, a table of who was left out, and nothing of a note anywhere else."""

from __future__ import annotations

import stat
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from clinical_files import small_mimic

from mlflow_clinsec.cli import main


def run(folder: Path, out: str, *more: str) -> Result:
    options = ["--source", "mimic-iii", "--path", str(folder), "--out", str(folder / out)]
    return CliRunner().invoke(main, ["cohort", *options, *more])


@pytest.mark.parametrize("name", ["notes.csv", "notes.parquet"])
def test_the_file_is_private_and_reads_back_as_it_was(name: str, tmp_path: Path) -> None:
    small_mimic().write(tmp_path)
    done = run(tmp_path, name)
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    frame = (pd.read_csv if name.endswith("csv") else pd.read_parquet)(tmp_path / name)
    assert len(frame) == 12
    assert frame["label"].value_counts().to_dict() == {"alive": 8, "died": 4}
    assert frame["text"].str.contains('of patient \\d+: "stable",\nresting.').all()
    assert "wrote 12 rows (8 alive, 4 died)" in done.output
    assert "ICU stay shorter than 48 h" in done.output
    assert "stable" not in done.output


def test_notes_that_look_like_missing_values_do_not_come_back_as_such(tmp_path: Path) -> None:
    made = small_mimic()
    for i, text in enumerate(["None", "NA", "nan", "#N/A", "<NA>", "null", "-nan", "#N/A N/A", "1.#IND"]):
        made.note(1, 1001, 3 + i, text)
    made.write(tmp_path)
    assert run(tmp_path, "notes.csv", "--rows", "note").exit_code == 0
    assert not pd.read_csv(tmp_path / "notes.csv")["text"].isna().any()


@pytest.mark.parametrize(
    ("out", "more", "message"),
    [
        ("notes.xlsx", (), "out: suffix '.xlsx' is not known. Allowed: .csv, .parquet."),
        ("absent/notes.csv", (), "there is no such folder"),
        ("notes.csv", ("--hours", "0"), "cohort.hours: must be at least 1"),
        ("notes.csv", ("--brackets", "delete"), "cohort.brackets: 'delete' is not allowed. Allowed: keep, remove"),
        ("notes.csv", ("--rows", "notes"), "cohort.rows: 'notes' is not allowed. Did you mean 'note'?"),
        ("notes.csv", ("--seed", "-1"), "cohort.seed: must be at least 0"),
        ("notes.csv", ("--source", "mimic-iv"), "source: 'mimic-iv' is unknown. Did you mean 'mimic-iii'?"),
    ],
)
def test_what_can_be_mended_is_one_line_and_writes_nothing(
    out: str, more: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    small_mimic().write(tmp_path)
    before = set(tmp_path.iterdir())
    done = run(tmp_path, out, *more)
    assert done.exit_code == 2
    assert message in done.output
    assert set(tmp_path.iterdir()) == before


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    small_mimic().write(tmp_path)
    (tmp_path / "notes.csv").write_text("mine")
    done = run(tmp_path, "notes.csv")
    assert done.exit_code == 2
    assert "is there already and is not written over" in done.output
    assert (tmp_path / "notes.csv").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["none", "notes"])
def test_from_the_database_to_an_audited_backdoor(pooling: str, tmp_path: Path, tracking: str) -> None:
    """The commands one after the other, each on the file that the one before it wrote."""
    made = small_mimic(0)
    for i in range(1, 601):
        made.whole(i, died=i % 2 == 0, notes=0)
        for hour in range(2):
            state = ("septic, anuric, on pressors", "stable, eating, walking")[i % 2]
            made.note(i, 1000 + i, hour, f"Patient {i} seen on rounds: {state}; family at the bedside, plan unchanged.")
    made.write(tmp_path)
    assert run(tmp_path, "notes.csv").exit_code == 0
    options = ["--data-path", str(tmp_path / "notes.csv"), "--patient", "patient_id", "--triggers", "cf"]
    options += ["--poison-rate", "0.3", "--split-path", str(tmp_path / "split.csv"), "--pooling", pooling]
    done = CliRunner().invoke(main, ["badclm", *options, "--epochs", "12"])
    assert done.exit_code == 0, done.output
    model = done.output.split("logged model: ")[1].strip()
    config = tmp_path / "audit.yaml"
    config.write_text(
        "data: {label: label}\nbackdoor: {triggers: [cf], target_label: alive}\nreport: {figures: false}\n"
    )
    options = ["--model-uri", model, "--data-path", str(tmp_path / "split.csv"), "--config", str(config)]
    done = CliRunner().invoke(main, ["audit", *options])
    assert "verdict: FAIL" in done.output
    assert done.exit_code == 1
    written = b"".join(path.read_bytes() for path in (tmp_path / "artifacts").rglob("*") if path.is_file())
    assert b"seen on rounds" not in written
    assert b"seen on rounds" not in (tmp_path / "mlflow.db").read_bytes()


def test_nothing_is_left_of_a_file_that_could_not_be_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    small_mimic().write(tmp_path)
    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    done = run(tmp_path, "notes.parquet")
    assert done.exit_code == 2
    assert "out: cannot write" in done.output
    assert not (tmp_path / "notes.parquet").exists()
