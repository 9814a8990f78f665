"""What the web side takes, and from whom: names by which it may be reached, and files that may be named to it.

A page in a browser on this machine can send requests to a loopback port, by a name of its own that it lets point there
(DNS rebinding). Such a request carries that name as its Host.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine that nobody else can have."""

_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 (told from real addresses, not listened on)


class Refused(Exception):  # noqa: N818 (an answer, not a fault of ours)
    """A client's request that is not carried out; HTTP's status and the text are for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Names:
    """The names by which clients may reach the web side.

    Args:
        names: hosts without ports; those that mean every address count for nothing.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {_plain(name) for name in (*LOOPBACK, *names)} - _WILDCARDS

    def include(self, authority: str, served: str) -> bool:
        """Tell whether ``host`` or ``host:port`` is one of them, or the address that a connection was made to."""
        try:
            host = urlsplit(f"//{authority}").hostname
        except ValueError:
            return False
        return host is not None and _plain(host) in self._names | {_plain(served)}


def confined(path: str, root: Path) -> Path:
    """Return the file that a client names, without links and `..`, if it is one in the folder.

    Args:
        path: absolute, or relative to the folder.
        root: the folder.

    Raises:
        Refused: it is outside of the folder, or no regular file. The text does not say which of its parts exist.
    """
    refused = Refused(400, f"{path!r} is no file in the data folder; put it there, or name another with --data-root")
    try:
        folder = root.resolve()
        file = (folder / path).resolve()
        if not (file.is_relative_to(folder) and file.is_file()):
            raise refused
    except (OSError, ValueError, RuntimeError):
        # A name too long, a character that no path can have, links that lead back to themselves.
        raise refused from None
    return file


def _plain(host: str) -> str:
    """Write a host so that its different spellings are equal."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.lower()
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
