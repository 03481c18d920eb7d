"""The page of examples, written from what each says of itself at its head."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from mlflow_clinsec.docs_pages.markdown import WRITTEN, from_docstring

FOLDER = Path(__file__).resolve().parents[2] / "examples"
"""In a checkout; the examples are no part of the installed package."""

HEAD = f"""# Examples

{WRITTEN}

Small and whole: each runs from a checkout, in an empty folder (the one on adapters needs the extra `peft`, the one on
Spark a Spark session). The tests run all that need no Spark.

For CI there are [a workflow](../examples/ci/github-actions.yml), [a shell script](../examples/ci/audit_and_gate.sh) and
[a policy](../examples/ci/policy.yaml); see the [policy cookbook](policy-cookbook.md).
"""


def examples_page(folder: Path = FOLDER) -> str:
    """The whole page, Markdown."""
    scripts = [_script(path) for path in sorted(folder.glob("*.py"))]
    notebooks = [_notebook(path) for path in sorted(folder.glob("*.ipynb"))]
    return HEAD + "".join(scripts + notebooks)


def _script(path: Path) -> str:
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first, _, rest = from_docstring(doc).partition("\n\n")
    title, _, command = " ".join(first.split()).rstrip(".").rpartition(": ")
    return _section(title, path, f"{rest.strip()}\n\nRun {command}.".strip())


def _notebook(path: Path) -> str:
    """Its first cell: a heading, and what follows it."""
    [first, *_] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    title, _, rest = "".join(first["source"]).partition("\n")
    return _section(title.lstrip("# "), path, rest.strip())


def _section(title: str, path: Path, text: str) -> str:
    return f"\n## {title.strip()}\n\n[`{path.name}`](../examples/{path.name})\n\n{text}\n"
