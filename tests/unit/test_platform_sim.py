"""The in-process platform keeps the rules of a real one."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pilotlight.errors import PlatformError
from pilotlight.platform.base import Function
from pilotlight.platform.sim import SimPlatform

FUNCTION = Function(key="f", runtime="python", timeout_s=60, memory_mb=128)


@pytest.fixture
def platform() -> SimPlatform:
    return SimPlatform(create_time=0.0, init_time=0.0)


async def test_a_start_takes_its_configured_times() -> None:
    platform = SimPlatform(create_time=0.02, init_time=0.03)
    created = await platform.create_slot(1, 128)
    init_ns = await platform.init(created.platform_id, "i", FUNCTION)
    assert created.create_ns >= 20_000_000
    assert init_ns >= 30_000_000


async def test_slots_have_names_of_their_own(platform: SimPlatform) -> None:
    created = await asyncio.gather(*(platform.create_slot(n, 128) for n in range(20)))
    assert {slot.platform_id for slot in created} == set(platform.live)
    assert len(platform.live) == 20


async def test_a_slot_takes_one_init(platform: SimPlatform) -> None:
    created = await platform.create_slot(1, 128)
    await platform.init(created.platform_id, "i", FUNCTION)
    with pytest.raises(PlatformError, match=f"slot {created.platform_id} is already allocated"):
        await platform.init(created.platform_id, "j", FUNCTION)


async def test_a_slots_memory_must_equal_the_functions(platform: SimPlatform) -> None:
    created = await platform.create_slot(1, 128)
    with pytest.raises(PlatformError, match="has 128 MB, function f needs 256 MB"):
        await platform.init(created.platform_id, "i", replace(FUNCTION, memory_mb=256))


async def test_an_unknown_slot_takes_no_init(platform: SimPlatform) -> None:
    with pytest.raises(PlatformError, match="slot not found"):
        await platform.init("sim-1", "i", FUNCTION)


async def test_a_destroyed_slot_is_gone_and_may_be_destroyed_again(platform: SimPlatform) -> None:
    created = await platform.create_slot(1, 128)
    for _ in range(2):
        await platform.destroy(created.platform_id, "done")
    assert platform.live == {}


async def test_failures_repeat_from_their_seed() -> None:
    async def failures(seed: int) -> list[bool]:
        platform = SimPlatform(create_time=0.0, create_failure=0.5, seed=seed)
        results = await asyncio.gather(*(platform.create_slot(n, 128) for n in range(64)), return_exceptions=True)
        return [isinstance(result, PlatformError) for result in results]

    assert await failures(1) == await failures(1)
    assert await failures(1) != await failures(2)
    assert 10 < sum(await failures(1)) < 54


async def test_a_failed_init_leaves_the_slot_to_be_destroyed() -> None:
    platform = SimPlatform(create_time=0.0, init_time=0.0, init_failure=1.0)
    created = await platform.create_slot(1, 128)
    with pytest.raises(PlatformError, match="simulated failure"):
        await platform.init(created.platform_id, "i", FUNCTION)
    assert created.platform_id in platform.live
