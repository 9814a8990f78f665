"""Runs a sweep's points on a Ray cluster: the trace goes there once, a task is one setting over it.

Needs the extra `pilotlight[ray]`; this module alone imports Ray. The figures are those of a run here, to the last
digit, `run_s` apart.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pilotlight.errors import ConfigError
from pilotlight.simulation.runner import run_policy
from pilotlight.sweep.points import result_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pilotlight.simulation.runner import PreparedTrace
    from pilotlight.sweep.run import Backend


def on_ray(address: str | None) -> Backend:
    """Run on the cluster at an address; None takes what RAY_ADDRESS names, else one started in this machine.

    Raises:
        ConfigError: Ray is not installed, or the cluster cannot be reached.
    """
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("--on ray needs Ray: pip install 'pilotlight[ray]'") from None
    if not ray.is_initialized():
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError) as error:
            raise ConfigError(f"--ray-address {address}: {error}") from None

    def run(prepared: PreparedTrace, policies: Sequence[str]) -> Iterator[dict[str, Any]]:
        shared = ray.put(prepared)
        task = ray.remote(num_cpus=1)(_run_point)
        pending = [task.remote(shared, policy) for policy in policies]
        try:
            while pending:
                (ready,), pending = ray.wait(pending, num_returns=1)
                yield ray.get(ready)
        finally:
            for left in pending:
                ray.cancel(left, force=True)

    return run


def _run_point(prepared: PreparedTrace, policy: str) -> dict[str, Any]:
    """Simulate one setting and hand back its row: results themselves have columns as long as the function table."""
    return result_row(run_policy(prepared, policy), len(prepared.trace), prepared.bound.slot_gb_s)
