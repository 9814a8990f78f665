"""The commands that README.md, CONTRIBUTING.md and docs/ show, and what stands in for what their readers have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = (REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md")))

NOT_RUN = {
    "make demo": "`make` builds everything first; what it then runs, `pilotlight simulate`, is run",
    "make test": "it would run this test",
    "make setup": "it builds everything",
    "make bench": "it measures for minutes",
    "make bench-python": "it measures for a minute, and judges by times",
    "make bench-baseline": "it replaces a file of the repository",
    "pip install .": "it builds a wheel, and needs the network",
    "docker build -t pilotlight . && docker run pilotlight": "it needs Docker",
    "docker build -t pilotlight .": "it needs Docker",
    "docker run pilotlight": "it needs Docker",
    "docker run pilotlight run.sh --policy fixed:keep_alive=5s": "it needs Docker",
    "docker run pilotlight pilotlight replay --help": "it needs Docker",
    "pilotlight bench grpc --serve native --against go --rounds 5 --streams 8 --rate 20000": "it builds the Go peer",
    "pilotlight simulate --policy patient --policy patient:longest=5s --explain synth-0062": "the page adds the policy",
    "pilotlight compare --family patient --family level_gap --family fixed": "the page adds the policy",
}
"""Commands that are shown and not run, and why."""

SMALLER = {
    "pilotlight replay": "--speed 60 --length 1m --tail 1s",
    "pilotlight bench core": "--rounds 1 --duration 1ms --functions 1 --threads 1 --policy fixed",
    "pilotlight bench ffi": "--rounds 1 --policy fixed",
    "pilotlight bench sim": "--rounds 1 --length 1m --policy fixed",
    "pilotlight bench grpc": "--duration 200ms --warm-up 100ms --functions 10 --connections 1",
    "pilotlight bench storm": (
        "--duration 500ms --warm-up 100ms --requests 100 --storm-functions 10 --init 10ms --over 100ms"
    ),
}
"""What is added to commands that would run for long."""

SHELLS = {"sh", "bash", "shell", "console"}
PROGRAMS = {"pilotlight", "make", "pip", "uv", "python", "cargo", "docker", "kubectl", "ray", "go", "curl", "git"}
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", flags=re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(pilotlight [a-z][^`]*)`")


class Block(NamedTuple):
    """Commands that are shown together; each finds what those above it left.

    Attributes:
        page: where they are shown.
        line: of the page, where they begin.
        commands: one a line of the block, without comments.
    """

    page: str
    line: int
    commands: tuple[str, ...]


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page that show commands."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fenced in FENCED.finditer(text):
        commands = tuple(_commands(fenced[2], fenced[3]))
        if commands:
            found.append(Block(page.name, text.count("\n", 0, fenced.start()) + 1, commands))
    return found


def _commands(language: str, body: str) -> list[str]:
    """Return the lines of a block that a reader would type: those after a prompt, or else all of a shell's."""
    lines = [line.strip() for line in body.replace("\\\n", " ").splitlines()]
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    first = next((line.partition(" ")[0] for line in lines if line), "")
    if language and language not in SHELLS:
        return []
    if not typed and (language or first in PROGRAMS):
        typed = lines
    return [command for line in typed if (command := re.sub(r"(^|\s+)#.*$", "", line))]


def named_in_passing(page: Path) -> list[str]:
    """Return the commands that a page names inside its sentences and tables."""
    return INLINE.findall(FENCED.sub("", page.read_text(encoding="utf-8")))
