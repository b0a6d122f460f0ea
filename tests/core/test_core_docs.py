"""The pages agree with the code: settings, options, links, files."""

import importlib
import re
from pathlib import Path

import pytest
import typer

from helpers import settings_page
from landslip.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def _anchors(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    heads = [re.sub(r"[^\w\- ]", "", head.lower()) for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return {head.strip().replace(" ", "-") for head in heads}


def test_the_settings_page_is_that_of_the_code():
    assert (ROOT / "docs/settings.md").read_text() == settings_page.page(), (
        "run python tests/helpers/settings_page.py > docs/settings.md"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_stands_in_the_pages(name):
    text = "\n".join(page.read_text() for page in PAGES)
    app = typer.Typer(add_completion=False)
    app.command()(importlib.import_module(f"landslip.cli.{'map_' if name == 'map' else name}").command)
    parameters = typer.main.get_command(app).params
    options = [(*one.opts, *one.secondary_opts) for one in parameters if one.opts[0].startswith("--")]
    assert ("--json",) in options
    # of --pre and --no-pre one is enough
    assert [words for words in options if not any(re.search(rf"{word}(?![\w-])", text) for word in words)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_and_pictures_say_what_they_show(page):
    for picture, words, target in re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in _anchors(file), f"{page.name}: {target}"
        assert words or not picture, f"{page.name}: {target} has no words"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    named = re.findall(r"(?:tests|benchmarks|examples|docs)/[\w./-]*\w", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []
