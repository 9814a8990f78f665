"""Variables of the environment that look like settings and are none: nobody reads them, so somebody must be told.

Kubernetes adds variables for every service of a namespace to its pods, and a service may well be called pilotlight.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

import structlog

from pilotlight.config import ENV_PREFIX, ServeConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_KUBERNETES = re.compile(
    rf"{ENV_PREFIX}([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_KUBERNETES_PORT = re.compile(rf"{ENV_PREFIX}([A-Z0-9_]+_)?PORT")
_KUBERNETES_URL = re.compile(r"(tcp|udp|sctp)://\S+")

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def unknown_variables(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return the variables with our prefix that are no setting, each with the setting that was probably meant."""
    settings = [name.upper() for name in ServeConfig.model_fields]
    unknown: dict[str, str | None] = {}
    for name, value in environment.items():
        prefix, setting = name[: len(ENV_PREFIX)].upper(), name[len(ENV_PREFIX) :].upper()  # as settings are read
        if prefix == ENV_PREFIX and setting not in settings and not _is_kubernetes(name, value):
            meant = get_close_matches(setting, settings, n=1, cutoff=0.7)
            unknown[name] = ENV_PREFIX + meant[0] if meant else None
    return unknown


def warn_of_unknown(environment: Mapping[str, str]) -> None:
    """Log a warning for each of them; their values may be secret."""
    for name, meant in sorted(unknown_variables(environment).items()):
        remedy = f"did you mean {meant}?" if meant else "docs/configuration.md lists every setting"
        _log.warning("an environment variable is no setting and is not read", variable=name, remedy=remedy)


def _is_kubernetes(name: str, value: str) -> bool:
    if _KUBERNETES.fullmatch(name):
        return True
    # With a number it would be somebody's idea of a setting.
    return bool(_KUBERNETES_PORT.fullmatch(name) and _KUBERNETES_URL.fullmatch(value))
