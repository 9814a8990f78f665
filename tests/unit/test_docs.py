"""What docs/ shows is what runs."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def code_blocks(page: str, language: str) -> list[str]:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_the_policy_on_the_page_is_the_one_that_is_tested() -> None:
    source = (REPOSITORY / "rust" / "core" / "tests" / "write_a_policy.rs").read_text(encoding="utf-8")
    marked = re.findall(r"^// page: .*?\n(.*?)^// end$", source, flags=re.MULTILINE | re.DOTALL)
    assert len(marked) == 2
    assert code_blocks("write-a-policy.md", "rust") == marked


def test_pictures_are_small_and_every_one_named_is_there() -> None:
    for page in sorted((REPOSITORY / "docs").glob("*.md")):
        for name in re.findall(r"\]\((images/[^)]+)\)", page.read_text(encoding="utf-8")):
            picture = REPOSITORY / "docs" / name
            assert picture.is_file(), f"{page.name} shows {name}; run: make docs"
            assert picture.stat().st_size < 150_000, f"{name} is too large for a page"


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*sorted((REPOSITORY / "docs").glob("*.md")), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
