"""Ways to divide traffic. A router is three methods, `MemoryRouter` the smallest; `connect` chooses one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from rollout.split import Split
from spec import ModelSpec, Settings

Change = Callable[[Split], Split]


class Router(Protocol):
    """Divides the requests of each model between its two slots.

    A model that was never touched sends everything to the champion in slot ``blue``.
    Writers of one model, in any thread or process, exclude each other.
    """

    @property
    def mirrors(self) -> bool:
        """Whether it can copy requests to a slot; one that cannot refuses a split with a mirror."""
        ...

    def read(self, model: str) -> Split:
        """Return the split that was last confirmed.

        Raises
        ------
        NotFound
            There is no such model.
        Refused
            The data plane has no route for it, or one that is not ours.
        Unavailable
            The data plane did not answer.
        """
        ...

    def apply(self, model: str, split: Split) -> None:
        """Divide the traffic as `split` says; return once it is in force.

        Raises
        ------
        NotFound
            There is no such model.
        Refused
            The data plane rejected the split, with its reason; the one before it stays in force.
        Unavailable
            The data plane did not confirm in time; `read` still returns the split before.
        """
        ...

    def amend(self, model: str, change: Change) -> Split:
        """Replace the split by ``change(split)`` as one step that no other writer can come between.

        What `change` raises is passed on and leaves everything as it was. Otherwise as `apply`;
        returns the new split. `change` is asked again where another writer was first: it must be pure.
        """
        ...


def connect(settings: Settings, specs: Mapping[str, ModelSpec]) -> Router:
    """Return the router that ``TRIMTAB_ROUTER`` names, for the models of `specs`; nothing is asked yet."""
    if settings.router == "gateway_api":
        from rollout.routers.gateway_api import GatewayApiRouter  # noqa: PLC0415 - only the one in use

        return GatewayApiRouter(settings, specs)
    if settings.router == "kserve":
        from rollout.routers.kserve import KServeRouter  # noqa: PLC0415 - as above

        return KServeRouter(settings, specs)
    from rollout.routers.envoy import EnvoyRouter  # noqa: PLC0415 - as above

    return EnvoyRouter(settings, specs)
