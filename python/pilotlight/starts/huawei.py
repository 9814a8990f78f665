"""Starts as published of Huawei Cloud's functions: by runtime, and by pod size.

The numbers were read from the figures of Artjom Joosen et al., "Serverless Cold Starts and Where to Find Them", EuroSys
2025: figure 15 (region 2, total and parts by runtime), figure 13 (quartiles of the total by region and pod size) and
figure 10a (the total by region). The paper finds the parts of a start correlated; therefore the total is drawn first,
and then split in the proportions that the parts' quantiles have at the same probability.

Figure 13 gives quartiles only. From them the law goes on to the 5th and the 95th percentile with the logarithm of the
time linear in the probability as between them, within the 1st and the 99th percentile of the region; beyond it stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pilotlight.errors import ConfigError
from pilotlight.starts.table import StartTable, law_levels, quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pilotlight.traces.trace import FunctionTable

STAGES = ("schedule", "sandbox", "code", "dependency")
"""The paper's scheduling, pod allocation, deployment of code and of dependencies."""

CREATE_STAGES = 2

LEVELS = (0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)
TOTAL_S = {
    "csharp": (0.47481, 0.55295, 0.57257, 0.62735, 0.73337, 0.81223, 0.86679, 1.736, 17.11106),
    "custom": (10.24884, 10.2944, 10.34195, 10.87363, 10.95828, 11.08893, 14.54509, 15.58063, 20.04793),
    "go": (0.43506, 0.48011, 0.51737, 0.57636, 0.62495, 0.70823, 0.85182, 0.96436, 1.63154),
    "http": (0.15875, 0.2139, 0.27129, 10.63831, 10.72735, 10.81125, 11.32898, 11.57704, 17.23715),
    "java": (0.12264, 0.16825, 0.2061, 0.53507, 0.74162, 1.0466, 1.5186, 2.32888, 12.20743),
    "nodejs": (0.09981, 0.14082, 0.17152, 0.71832, 1.18347, 1.37284, 1.85885, 2.46151, 10.96753),
    "php": (0.09981, 0.29078, 0.32363, 0.358, 0.38807, 0.45581, 0.57269, 0.67864, 1.11761),
    "python2": (0.12507, 0.24232, 0.29781, 0.39923, 0.50143, 0.71617, 0.86312, 1.0364, 7.97042),
    "python": (0.09981, 0.13735, 0.22976, 0.46143, 0.70435, 1.53639, 2.17744, 2.81125, 9.51049),
}
"""Seconds of a total cold start in region 2 at `LEVELS`, by runtime (figure 15a)."""

PARTS_S = {
    "csharp": (
        (0.46758, 0.54949, 0.56954, 0.62506, 0.72622, 0.80416, 0.85901, 1.32347, 3.12986),
        (0.00012, 0.00016, 0.00017, 0.00018, 0.00021, 0.00024, 0.00026, 0.00029, 14.68181),
        (0.001, 0.001, 0.001, 0.001, 0.005, 0.00601, 0.00799, 0.01303, 0.24996),
        None,
    ),
    "custom": (
        (0.10907, 0.12711, 0.14185, 0.6992, 0.7532, 0.84984, 3.94927, 5.07371, 10.0152),
        (10.12588, 10.14903, 10.15496, 10.17277, 10.20252, 10.23235, 10.28905, 10.4186, 15.33803),
        (0.001, 0.001, 0.001, 0.001, 0.002, 0.002, 0.003, 0.00301, 0.04714),
        None,
    ),
    "go": (
        (0.02055, 0.0236, 0.02582, 0.0394, 0.04589, 0.06284, 0.09632, 0.1123, 0.74771),
        (0.00012, 0.00014, 0.00015, 0.00016, 0.00017, 0.0002, 0.00023, 0.00025, 0.00029),
        (0.39386, 0.44051, 0.47312, 0.51918, 0.567, 0.63447, 0.76103, 0.84543, 1.11473),
        None,
    ),
    "http": (
        (0.07039, 0.19122, 0.25476, 0.4715, 0.53344, 0.58402, 1.03335, 1.15067, 1.41347),
        (0.00015, 0.00017, 0.00019, 10.13761, 10.19934, 10.24754, 10.31936, 10.68993, 15.41788),
        (0.001, 0.001, 0.001, 0.002, 0.002, 0.00301, 0.58368, 0.88604, 1.34412),
        (0.0979, 0.103, 0.10594, 0.12824, 0.1637, 0.70841, 0.93978, 1.02817, 1.16162),
    ),
    "java": (
        (0.05799, 0.07325, 0.08243, 0.09681, 0.13493, 0.19281, 0.38317, 0.80957, 3.11536),
        (0.00013, 0.00018, 0.00019, 0.00766, 0.01273, 0.01401, 0.01743, 1.09871, 10.46769),
        (0.001, 0.02207, 0.03101, 0.05002, 0.12212, 0.31253, 0.50575, 0.67689, 1.26884),
        (0.21909, 0.29696, 0.32257, 0.3647, 0.43739, 0.56578, 0.70551, 0.82232, 1.42018),
    ),
    "nodejs": (
        (0.03927, 0.06992, 0.08862, 0.13169, 1.00162, 1.1717, 1.27535, 1.44726, 10.0152),
        (0.00011, 0.00013, 0.00015, 0.00017, 0.00019, 0.00023, 0.00026, 0.00028, 0.01359),
        (0.001, 0.002, 0.02307, 0.04414, 0.09133, 0.23598, 0.67996, 1.93688, 2.45497),
        (0.02299, 0.03307, 0.03911, 0.07298, 0.13427, 0.17442, 0.20681, 0.27173, 0.41984),
    ),
    "php": (
        (0.04795, 0.25222, 0.28661, 0.30837, 0.3304, 0.35957, 0.41511, 0.47704, 0.80367),
        (0.00012, 0.00015, 0.00016, 0.00018, 0.00019, 0.00022, 0.00024, 0.00026, 0.00029),
        (0.001, 0.001, 0.002, 0.03102, 0.04905, 0.09185, 0.19319, 0.2739, 0.50861),
        (0.01498, 0.01501, 0.018, 0.02304, 0.07903, 0.80561, 0.82552, 1.13932, 1.14149),
    ),
    "python2": (
        (0.09133, 0.18006, 0.25638, 0.33173, 0.45377, 0.62849, 0.74722, 0.8323, 1.19137),
        (0.00012, 0.00015, 0.00016, 0.00017, 0.00019, 0.00023, 0.01198, 0.01374, 6.8341),
        (0.001, 0.001, 0.002, 0.004, 0.03208, 0.05813, 0.13291, 0.20722, 0.43033),
        (0.01104, 0.01301, 0.01403, 0.01602, 0.02103, 0.03913, 0.0913, 0.15039, 0.43003),
    ),
    "python": (
        (0.02167, 0.06354, 0.08837, 0.19735, 0.43261, 0.7308, 0.96679, 1.26747, 5.17071),
        (0.00012, 0.00015, 0.00016, 0.0002, 0.01206, 0.01345, 0.01484, 0.01725, 4.71118),
        (0.001, 0.002, 0.02102, 0.03302, 0.05013, 0.10193, 0.20323, 0.28865, 0.57201),
        (0.03396, 0.05511, 0.12008, 0.32776, 1.09783, 1.21898, 1.40968, 1.87661, 2.74035),
    ),
}
"""Seconds of each of `STAGES` likewise (figures 15e, b, c, d); None: the runtime has no such part."""

SMALL_POD_MB = 256
"""Memory up to which the paper calls a pod small."""

QUARTILES = (0.25, 0.50, 0.75)
LOW, HIGH = 0.05, 0.95
"""The percentiles out to which the quartiles' lines are drawn."""

BY_POD_S = {
    "R1": ((0.60189, 1.18946, 2.96077), (1.78078, 2.63607, 4.29696)),
    "R2": ((0.45421, 0.70397, 1.32824), (0.63209, 1.31127, 10.88627)),
    "R3": ((0.02531, 0.05314, 0.32529), (0.12498, 0.14324, 0.20041)),
    "R4": ((0.27043, 0.60489, 1.24619), (1.0952, 1.5538, 4.17878)),
    "R5": ((0.19587, 0.44821, 0.59991), (0.28546, 0.42714, 1.62945)),
}
"""Seconds of a total cold start at the quartiles in small pods and in large ones, by region (figure 13)."""

REACH_S = {
    "R1": (0.12479, 40.01195),
    "R2": (0.09285, 14.99193),
    "R3": (0.02079, 1.11868),
    "R4": (0.02379, 10.88702),
    "R5": (0.07404, 8.04786),
}
"""The 1st and the 99th percentile of the total, by region (figure 10a)."""

PARTS_BY_POD_S = {
    "R1": ((0.89077, 0.01608, 0.003, 0.45382), (0.79991, 0.0179, 1.02407, 2.34854)),
    "R2": ((0.48683, 0.00024, 0.05502, 1.10468), (0.22698, 0.01395, 0.05302, 0.5298)),
    "R3": ((0.02855, 0.00014, 0.001, 0.9752), (0.11391, 0.00014, 0.02201, 0.93771)),
    "R4": ((0.40133, 0.00014, 0.05202, 0.16092), (0.13086, 0.02143, 0.003, 1.09069)),
    "R5": ((0.38271, 0.00013, 0.04302, 0.13093), (0.30328, 0.00013, 0.04202, 2.09206)),
}
"""Medians of each of `STAGES` in small pods and in large ones, by region (figure 13): the proportions of all starts."""

RUNTIMES = (
    ("python2", "python2"),
    ("python", "python"),
    ("node", "nodejs"),
    ("java", "java"),
    ("go", "go"),
    ("php", "php"),
    ("dotnet", "csharp"),
    ("csharp", "csharp"),
    ("c#", "csharp"),
    ("custom", "custom"),
    ("container", "custom"),
    ("http", "http"),
)
"""What a runtime's name begins with, and whose starts it has; the first that fits."""


def huawei(
    functions: FunctionTable, create_ns: NDArray[np.uint64], seed: int, *, region: str, spread: str
) -> StartTable:
    """Make the table: in region 2 by runtime where the runtime is known, else by pod size.

    Raises:
        ConfigError: the region or the spread is none.
    """
    del create_ns
    if region not in BY_POD_S:
        raise ConfigError(f"huawei: region is {region!r}; choose one of {', '.join(BY_POD_S)}")
    if spread not in {"start", "function"}:
        raise ConfigError(f"huawei: spread is {spread!r}; choose start or function")
    runtimes = list(TOTAL_S) if region == "R2" else []
    laws = [_by_runtime(runtime) for runtime in runtimes] + [_by_pod(region, size) for size in (0, 1)]
    law = np.where(functions.memory_mb <= SMALL_POD_MB, len(runtimes), len(runtimes) + 1)
    for row, name in enumerate(functions.runtimes if runtimes else ()):
        known = next((whose for prefix, whose in RUNTIMES if name.lower().startswith(prefix)), None)
        if known is not None:
            law[row] = runtimes.index(known)
    table = StartTable.shared(STAGES, CREATE_STAGES, laws, law)
    if spread == "start":
        return table
    return table.drawn_once(np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))))


def pod_quantile(region: str, size: int, level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a region's total times at probabilities `level`, 0 to 1; `size` 0: small pods, 1: large ones."""
    logs = np.log(BY_POD_S[region][size])
    below = logs[0] - (logs[1] - logs[0]) * (QUARTILES[0] - LOW) / (QUARTILES[1] - QUARTILES[0])
    above = logs[2] + (logs[2] - logs[1]) * (HIGH - QUARTILES[2]) / (QUARTILES[2] - QUARTILES[1])
    times_s: NDArray[np.float64] = np.exp(np.interp(level, (LOW, *QUARTILES, HIGH), (below, *logs, above)))
    return np.clip(times_s, *REACH_S[region])


def _by_runtime(runtime: str) -> NDArray[np.float64]:
    """Split region 2's totals of a runtime, shape (rows, stages)."""
    level = law_levels()
    parts = [np.zeros_like(level) if part is None else quantile(LEVELS, part, level) for part in PARTS_S[runtime]]
    return _split(quantile(LEVELS, TOTAL_S[runtime], level), np.stack(parts, axis=1))


def _by_pod(region: str, size: int) -> NDArray[np.float64]:
    """Split a region's totals of a pod size, shape (rows, stages)."""
    return _split(pod_quantile(region, size, law_levels()), np.array([PARTS_BY_POD_S[region][size]]))


def _split(total_s: NDArray[np.float64], parts_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share totals out in the proportions of the parts."""
    shares: NDArray[np.float64] = parts_s / parts_s.sum(axis=1, keepdims=True)
    return total_s[:, np.newaxis] * shares
