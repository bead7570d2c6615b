"""What computes: kernels are chosen by it, and with them the last digits of a number."""

from __future__ import annotations

import contextlib
import platform
from pathlib import Path

from merbench import guard

INSTRUCTIONS = (
    "avx",
    "fma",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "asimd",
    "sve",
)
"""Sets by which kernels are chosen. A virtual machine may hide some of those that its processor has."""


def processor() -> tuple[str, str]:
    """Return maker, family and model (on ARM implementer and part) of this machine's processor, and its instruction sets, where they are told."""
    told: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        for line in guard.read(Path("/proc/cpuinfo"), 2**24).decode(errors="replace").splitlines():
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), value.strip())
    found = [told[name] for name in ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part") if name in told]
    sets = {*told.get("flags", told.get("Features", "")).split()}
    return " ".join([platform.machine(), *found]), " ".join(name for name in INSTRUCTIONS if name in sets)
