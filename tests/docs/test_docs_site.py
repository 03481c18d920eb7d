"""The site holds together: every page is reached, every link and picture is there, nothing private stands in it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from documents import DOCS, PAGES, READ_FIRST, ROOT, anchors, blocks, links, name_of

from mlflow_clinsec.report.figure_style import house_style
from mlflow_clinsec.report.verdict_words import FLAG_TEXTS

EVERY = [*PAGES, *(page for page in READ_FIRST if page.is_file())]


def _module(name: str) -> Any:
    """A script of the folder of documents."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_reached_from_the_navigation() -> None:
    navigation = _module("navigation")
    reached = {"index"}
    for hub in navigation.HUBS:
        for _, pages in navigation.sections((DOCS / f"{hub}.md").read_text(encoding="utf-8")):
            reached.update(pages)
    assert reached == {str(page.relative_to(DOCS))[: -len(".md")] for page in PAGES}


def test_navigation_takes_lists_and_tables_and_leaves_links_in_passing() -> None:
    text = "# T\n\nSee [x](x.md).\n\n## One\n\n- [A](a.md): with [b](b.md)\n- ![p](p.md)\n\n## Two\n\nSee [c](c.md)\n"
    table = "\n## Three\n\n| name |\n|---|\n| [`d`](attacks/d.md) |\n| [`d`](attacks/d.md) |\n"
    assert list(_module("navigation").sections(text + table)) == [("One", ["a"]), ("Three", ["attacks/d"])]


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_every_relative_link_and_anchor_leads_somewhere(page: Path) -> None:
    for _, _, target in links(page):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        place, _, fragment = target.partition("#")
        found = (page.parent / place).resolve() if place else page
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        assert not fragment or fragment in anchors(found), target


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_every_picture_lies_here_and_has_words_for_those_who_cannot_see_it(page: Path) -> None:
    for image, words, target in links(page):
        if image:
            assert not target.startswith("http")
            assert len(words) >= 15, target


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_tables_are_even(page: Path) -> None:
    for block in re.split(r"\n\s*\n", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)):
        rows = [re.sub(r"\\\|", "", line) for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, rows[0]


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_one_title_and_no_machine_in_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"^# .+$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    assert len(titles) == 1
    for private in ("/work/", "/root/", "/tmp/", "/home/", "127.0.0.1:87", "file://"):
        assert private not in text


def test_commands_of_the_quick_start_and_the_readme_exist() -> None:
    import yaml

    makefile = (ROOT / "Makefile").read_text()
    entries = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    from mlflow_clinsec.cli import main

    for page in (DOCS / "quick-start.md", ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        text = page.read_text(encoding="utf-8")
        for goal in re.findall(r"^make ([a-z-]+)", text, re.MULTILINE):
            assert re.search(rf"^{goal}:", makefile, re.MULTILINE), goal
        for entry in re.findall(r"mlflow run \. -e ([a-z-]+)", text):
            assert entry in entries
        for command, rest in re.findall(r"^mlflow-clinsec ([a-z-]+)(.*)$", text, re.MULTILINE):
            known = {option for parameter in main.commands[command].params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", rest)) <= known


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_commands_in_code_blocks_exist(page: Path) -> None:
    from mlflow_clinsec.cli import main

    for block in blocks(page, ""):
        for command, rest in re.findall(r"^mlflow-clinsec ([a-z-]+)((?:.*\\\n)*.*)$", block, re.MULTILINE):
            assert command in main.commands
            known = {option for parameter in main.commands[command].params for option in parameter.opts}
            assert set(re.findall(r"(?<=\s)--[a-z-]+", rest)) <= known


def test_pictures_are_drawn_by_the_committed_script(tmp_path: Path) -> None:
    pictures = _module("pictures")
    with house_style():
        drawn = {name for name, draw in pictures.PICTURES.items() if draw() is not None}
    shown = {Path(target).stem for image, _, target in links(DOCS / "concepts.md") if image}
    assert drawn == shown
    assert {path.stem for path in (DOCS / "images").glob("concept_*.png")} == shown


def test_measured_pictures_show_the_figures_of_the_results() -> None:
    rows = _module("pictures").measured_triggers()
    assert rows["BadCLM", "mn head"]["asr"] == (1.0, 0.937, 1.0)
    assert rows["clean", "mn random"]["survival"] == 0.35


def test_every_flag_is_explained() -> None:
    told = (DOCS / "when-it-does-not-decide.md").read_text(encoding="utf-8")
    assert [flag for flag in FLAG_TEXTS if f"| `{flag}` |" not in told] == []
