"""Which machines a job runs on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .address import THIS_MACHINE, check_address
from .store import check_store


@dataclass(frozen=True)
class ClusterParams:
    """Which machines compute.

    Attributes:
        cluster: "" = this machine; "local", "auto" or "host:port" of a Ray cluster, see `address.check_address`.
        store: Folder or URL that all of its machines see, where vectors are kept; "" = what `WINNOW_VECTOR_STORE`
            names, else the cache of embeddings.
    """

    cluster: str = field(default=THIS_MACHINE, kw_only=True)
    store: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        check_address(self.cluster)
        check_store(self.store)


def uses_cluster(params: Any) -> bool:
    """Tell whether a job's settings, or those of its vectors, name a cluster."""
    return any(getattr(each, "cluster", THIS_MACHINE) for each in (params, getattr(params, "vectors", None)))
