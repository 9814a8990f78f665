"""Write docs/configuration.md from the settings: `python -m pilotlight.server.config_docs > docs/configuration.md`."""

from __future__ import annotations

import sys
import textwrap

from pilotlight.config import ENV_PREFIX, ServeConfig, flag_name
from pilotlight.setting_values import allowed, default_text

_HEAD = """\
# Settings of `pilotlight serve`

This page is generated from `python/pilotlight/config.py` by `python -m pilotlight.server.config_docs`; edit it there.

A setting is taken from the first of these that names it:

1. its command-line flag, `--drain-timeout 5s`;
2. its environment variable, `PILOTLIGHT_DRAIN_TIMEOUT=5s`;
3. the TOML file given with `--config`, `drain_timeout = "5s"`;
4. its default.

Durations carry their unit: `us`, `ms`, `s`, `m` or `h`. An unknown key in the file, or a value that does not fit, stops
the command with exit status 2 and a line that names the source, the key and what is allowed. A variable that begins
with `PILOTLIGHT_` and is no setting gets a warning with the name that was probably meant; those that Kubernetes injects
for services called pilotlight or pilotlight-something are left alone.
"""


def configuration_page() -> str:
    """Return the page: one section a setting, in the model's order."""
    sections = [_HEAD]
    for name, field in ServeConfig.model_fields.items():
        default = default_text(field)
        sections.append(
            f"## `{name}`\n\n{textwrap.fill(field.description or '', 120)}\n\n"
            f"* Default: {f'`{default}`' if default else 'empty'}\n"
            f"* Allowed: {allowed(field)}\n"
            f"* Flag: `{flag_name(name)}`; environment: `{ENV_PREFIX}{name.upper()}`\n"
        )
    return "\n".join(sections)


if __name__ == "__main__":
    sys.stdout.write(configuration_page())
