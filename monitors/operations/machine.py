"""What the whole machine has done since it started."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

_IDLE = ("idle", "iowait")
_TWICE = ("guest", "guest_nice")  # Linux counts them in user and nice too
_LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class MachineUsage:
    """Counters of one machine, or of what a container sees of it.

    Parameters
    ----------
    busy_seconds
        CPU time in which a core was not idle, over all cores.
    memory_used_bytes
        Memory that could not be given away at once.
    received_bytes, sent_bytes
        Over every network but the loopback. The kernel does not tell an ordinary user which process they
        belong to.
    """

    busy_seconds: float
    memory_used_bytes: int
    received_bytes: int
    sent_bytes: int


def look() -> MachineUsage:
    """Read the counters."""
    times = psutil.cpu_times()._asdict()
    busy = sum(seconds for kind, seconds in times.items() if kind not in (*_IDLE, *_TWICE))
    memory = psutil.virtual_memory()
    networks = [one for name, one in psutil.net_io_counters(pernic=True).items() if name != _LOOPBACK]
    return MachineUsage(
        busy,
        memory.total - memory.available,
        sum(one.bytes_recv for one in networks),
        sum(one.bytes_sent for one in networks),
    )
