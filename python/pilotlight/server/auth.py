"""Who may call Assign and Idle: whoever sends the token of `auth_token_file`, when there is one."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from pilotlight.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

REFUSAL = "the call carries no valid token; send the metadata `authorization: Bearer TOKEN`"
"""What a client reads whose call is UNAUTHENTICATED."""


class BearerToken:
    """The one token that is accepted.

    Args:
        token: the secret.
    """

    def __init__(self, token: str) -> None:
        self.expected = f"Bearer {token}".encode()
        """The value that the metadata must have."""

    @classmethod
    def from_file(cls, path: str) -> Self:
        """Read the token: the file's text without the white space around it.

        Raises:
            ConfigError: the file cannot be read, or holds no token.
        """
        try:
            token = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"auth_token_file = {path!r}: cannot read the token: {error}") from None
        if not token:
            raise ConfigError(f"auth_token_file = {path!r}: the file holds no token")
        return cls(token)

    def accepts(self, metadata: Iterable[tuple[str, str | bytes]]) -> bool:
        """Say whether a call's metadata carry the token; takes as long for a wrong one as for a right one."""
        for key, value in metadata:
            if key == "authorization":
                sent = value if isinstance(value, bytes) else value.encode()
                return hmac.compare_digest(sent, self.expected)
        return False
