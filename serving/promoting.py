"""Promotion asked of the running service."""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from features.errors import BundleRefused, DatabaseUnreachable, RegistryFault, UnknownVersion
from features.site import Site
from serving.problems import Problem
from serving.record import Record

_FAULTS = {
    UnknownVersion: "unknown_version",
    BundleRefused: "bundle_refused",
    RegistryFault: "registry_fault",
    DatabaseUnreachable: "not_recorded",
}


def promote_apart(site: Site, version: str, *, reason: str, actor: str, now: int) -> str | None:
    """Makes a version the champion in a process of its own: MLflow takes seconds to import. Problem where it fails."""
    if not (version.isascii() and version.isdigit()):  # told at once: no registry has such a version
        raise Problem("unknown_version", f"{version[:40]} is no version; GET /v1/models lists them")
    try:
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            return pool.submit(_promote, site, version, reason, Record(site.database_url, actor, now)).result()
    except tuple(_FAULTS) as fault:
        raise Problem(_FAULTS[type(fault)], str(fault)) from None


def _promote(site: Site, version: str, reason: str, record: Record) -> str | None:
    from serving.registry import promote

    sys.stdout = sys.stderr
    return promote(
        site.name, version, tracking_uri=site.tracking_uri, state_dir=site.state_dir, record=record, reason=reason
    )
