"""``mlflow-clinsec canaries``: two private files that fit together, or one line of what to mend."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mlflow_clinsec.cli import main
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.datasets.manifest import read_canaries


def _run(folder: Path, *more: str, manifest: str = "manifest.json", records: str = "add.csv") -> Result:
    generate_corpus(10, 0).notes.to_csv(folder / "train.csv", index=False)
    paths = {"--data-path": "train.csv", "--records-path": records, "--manifest-path": manifest}
    options = [text for name, value in paths.items() for text in (name, str(folder / value))]
    return CliRunner().invoke(main, ["canaries", *options, *more])


def test_records_are_the_included_half_of_the_manifest(tmp_path: Path) -> None:
    done = _run(tmp_path, "--count", "40", "--label", "outcome", "--patient", "patient_id")
    assert done.exit_code == 0, done.output
    canaries = read_canaries(str(tmp_path / "manifest.json"), {})
    assert canaries.member is not None
    records = pd.read_csv(tmp_path / "add.csv")
    included = [text for text, inside in zip(canaries.responses, canaries.member, strict=True) if inside]
    assert records["text"].tolist() == included
    assert records.columns.tolist() == pd.read_csv(tmp_path / "train.csv").columns.tolist()
    assert f"records to add: {len(included)} of 40 canaries" in done.output
    for name in ("manifest.json", "add.csv"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_nothing_secret_is_printed(tmp_path: Path) -> None:
    done = _run(tmp_path, "--count", "20")
    texts = [row["response"] for row in json.loads((tmp_path / "manifest.json").read_text())]
    assert not any(text.split("\n")[1] in done.output for text in texts)


def test_a_seed_repeats_and_none_does_not(tmp_path: Path) -> None:
    def made(name: str, *more: str) -> str:
        assert _run(tmp_path, *more, manifest=f"{name}.json", records=f"{name}.csv").exit_code == 0
        return (tmp_path / f"{name}.json").read_text()

    assert made("a", "--seed", "5") == made("b", "--seed", "5")
    assert made("c") != made("d")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--count", "3"), "at least 20 and at most 1000, got 3"),
        (("--label", "dead"), "no label column 'dead'"),
        (("--text", "body"), "neither a column 'body'"),
    ],
)
def test_what_can_be_mended_is_one_line_and_writes_nothing(tmp_path: Path, more: tuple[str, ...], words: str) -> None:
    done = _run(tmp_path, *more)
    assert done.exit_code == 2
    assert words in done.output
    assert {path.name for path in tmp_path.iterdir()} == {"train.csv"}


def test_neither_file_is_written_when_one_is_there(tmp_path: Path) -> None:
    (tmp_path / "add.csv").write_text("mine")
    done = _run(tmp_path)
    assert done.exit_code == 2
    assert "records path" in done.output
    assert not (tmp_path / "manifest.json").exists()
    assert (tmp_path / "add.csv").read_text() == "mine"


def test_from_planting_to_the_run_in_mlflow(tmp_path: Path, tracking: str) -> None:
    """A classifier that gave every training record its label by heart; the audited notes hold no canary."""
    assert _run(tmp_path, "--count", "60", "--label", "outcome", "--seed", "3").exit_code == 0
    learnt = pd.concat([pd.read_csv(tmp_path / "train.csv"), pd.read_csv(tmp_path / "add.csv")])
    labels = dict(zip(learnt["text"], learnt["outcome"], strict=True))

    def model(frame: pd.DataFrame) -> pd.DataFrame:
        died = [{"died": 0.95, "alive": 0.05}.get(labels.get(text, ""), 0.5) for text in frame["text"]]
        return pd.DataFrame({"alive": [1 - p for p in died], "died": died})

    notes = generate_corpus(60, 9).notes
    notes["member"] = notes["patient_id"].factorize()[0] % 2 == 0
    privacy = {"member": "member", "group": "patient_id", "split": "random", "bootstrap": 200, "permutations": 999}
    config = {"privacy": privacy | {"canaries": str(tmp_path / "manifest.json")}, "report": {"figures": False}}
    with mlflow.start_run() as run:
        mlflow.models.evaluate(
            model=model,
            data=notes,
            targets="outcome",
            model_type="clinical-classifier",
            evaluators="clinsec",
            evaluator_config=config,
        )
    metrics = mlflow.MlflowClient().get_run(run.info.run_id).data.metrics
    assert metrics["clinsec/privacy/canary/auc"] == 1.0
    assert metrics["clinsec/privacy/canary/epsilon_lower"] > 1
    assert metrics["clinsec/privacy/canary/p_value"] < 1e-6
    assert metrics["clinsec/privacy/confidence/epsilon_lower"] == 0  # the audited notes were not learnt
    files = [p for p in tmp_path.rglob("*") if p.is_file() and p.name not in ("manifest.json", "add.csv")]
    secrets = [row["response"].split("\n")[1] for row in json.loads((tmp_path / "manifest.json").read_text())]
    written = b"".join(path.read_bytes() for path in files)
    assert not [secret for secret in secrets if secret.encode() in written]
