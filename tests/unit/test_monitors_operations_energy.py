from __future__ import annotations

from dataclasses import replace

import pytest

from monitors.deployment import Deployment
from monitors.operations.energy import Look, spent
from monitors.operations.gpus import GpuUsage
from monitors.operations.machine import MachineUsage
from monitors.operations.processes import Usage
from monitors.operations.slots import Slots
from spec import loads
from spec.cost import Cost

GIB = 2**30
MODEL = """
model: shop
task: binary
data: {inference_log: log, labels: labels, id: id, time: t, target: {name: y}}
features: {amount: numeric}
"""
SHOP = loads(MODEL)
PAID = loads(MODEL + "monitor: {cost: {price_per_kwh: 0.3, price_per_cpu_hour: 0.05, carbon_g_per_kwh: 400}}")
IDLE = MachineUsage(busy_seconds=1000, memory_used_bytes=8 * GIB, received_bytes=0, sent_bytes=0)
BUSY = replace(IDLE, busy_seconds=1040)
START = Look(0.0, {"shop-blue": Usage("shop-blue", 5.0, GIB, pids=(7,))}, IDLE, (), {})


def later(cpu: float, at: float = 60.0, memory: int = GIB, **found: object) -> Look:
    """A look at the slot's process after it has used so many CPU seconds in all."""
    usage = Usage("shop-blue", cpu, memory, read_bytes=100, written_bytes=900, pids=(7,))
    return replace(Look(at, {"shop-blue": usage}, BUSY, (), {}), **found)  # type: ignore[arg-type]


def test_without_counters_energy_is_codecarbons_estimate() -> None:
    """4 W a busy core and 3 W for 8 GiB: 10 CPU seconds are 40 J, a GiB for a minute 22.5 J."""
    assert spent(START, later(15.0), "shop-blue", Cost()) == {
        ("cpu", "tdp"): pytest.approx(40.0),
        ("memory", "constant"): pytest.approx(22.5),
    }


def test_a_core_may_be_stated_to_draw_more() -> None:
    """The spec's watts replace the defaults."""
    found = spent(START, later(15.0), "shop-blue", Cost(watts_per_core=10, watts_per_gib=1))

    assert found == {("cpu", "tdp"): pytest.approx(100.0), ("memory", "constant"): pytest.approx(60.0)}


def test_the_machines_counters_are_shared_out() -> None:
    """10 of 40 busy CPU seconds take a quarter of the packages' joules, 1 of 8 GiB an eighth of memory's."""
    before = replace(START, joules={"cpu": 100.0, "memory": 50.0})
    now = later(15.0, joules={"cpu": 900.0, "memory": 90.0})

    assert spent(before, now, "shop-blue", Cost()) == {
        ("cpu", "rapl"): pytest.approx(200.0),
        ("memory", "rapl"): pytest.approx(5.0),
    }


def test_a_share_is_never_more_than_the_whole() -> None:
    """Counters that are read one after another may disagree by a tick."""
    before = replace(START, joules={"cpu": 0.0})

    assert spent(before, later(60.0, joules={"cpu": 8.0}), "shop-blue", Cost())["cpu", "rapl"] == 8.0
    now = later(6.0, joules={"cpu": 8.0}, machine=IDLE)
    assert spent(before, now, "shop-blue", Cost())["cpu", "rapl"] == 0.0


@pytest.mark.parametrize(("pids", "joules"), [((7, 8), 50.0), ((7,), 100.0), ((8,), None), ((), None)])
def test_a_gpu_is_shared_by_those_that_hold_it(pids: tuple[int, ...], joules: float | None) -> None:
    """One part for each process with a context; a GPU that the slot does not hold costs it nothing."""
    gpu = GpuUsage("0", 0.5, 1, 2, energy_joules=500.0, pids=pids)
    before, now = replace(START, gpus=(replace(gpu, energy_joules=400.0),)), later(15.0, gpus=(gpu,))

    assert spent(before, now, "shop-blue", Cost()).get(("gpu", "nvml")) == joules


def test_a_restarted_process_is_counted_from_zero() -> None:
    """A counter that fell began again: what it shows now was all used since."""
    assert spent(START, later(3.0), "shop-blue", Cost())["cpu", "tdp"] == pytest.approx(12.0)


def test_each_version_pays_for_its_own_time() -> None:
    """A slot's process goes on while its version changes; every counter of the new one begins at 0."""
    slots = Slots()
    first, second = Deployment({"blue": "1"}), Deployment({"blue": "2"})
    slots.look(START, [(SHOP, first)])
    (before,) = slots.look(later(15.0), [(SHOP, first)])
    (after,) = slots.look(later(18.0, at=120.0), [(SHOP, second)])

    assert (before.version, before.cpu_seconds, before.written_bytes) == ("1", 10.0, 900)
    assert (after.version, after.cpu_seconds, after.written_bytes) == ("2", 3.0, 0)
    assert after.joules["cpu", "tdp"] == pytest.approx(12.0)


def test_the_first_look_counts_nothing() -> None:
    """What a slot used before anybody looked cannot be told apart by version."""
    (found,) = Slots().look(START, [(SHOP, Deployment({"blue": "1"}))])

    assert (found.cpu_seconds, found.resident_bytes, dict(found.joules)) == (0.0, GIB, {})


def test_a_slot_that_runs_elsewhere_is_not_reported() -> None:
    """On a cluster the state files name versions whose processes this machine does not have."""
    assert Slots().look(START, [(SHOP, Deployment({"green": "1"}))]) == ()


def test_money_and_carbon_follow_from_the_stated_factors() -> None:
    """An hour of a core is 4 Wh: 0.0012 + 0.05 EUR, and 1.6 g; without factors there is no number at all."""
    slots, deployment = Slots(), Deployment({"blue": "1"})
    slots.look(START, [(PAID, deployment)])
    (paid,) = slots.look(later(3605.0, memory=0), [(PAID, deployment)])
    (free,) = slots.look(later(3605.0, memory=0), [(SHOP, deployment)])

    assert paid.price == pytest.approx(0.0512)
    assert paid.grams == pytest.approx(1.6)
    assert paid.currency == "EUR"
    assert (free.price, free.grams) == (None, None)
