"""Promotion asked of the running service."""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from features.site import Site
from serving.record import Record


def promote_apart(site: Site, version: str, *, reason: str, record: Record) -> str | None:
    """Makes a version the champion in a process of its own: MLflow takes seconds to import."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_promote, site, version, reason, record).result()


def _promote(site: Site, version: str, reason: str, record: Record) -> str | None:
    from serving.registry import promote

    sys.stdout = sys.stderr
    return promote(
        site.name, version, tracking_uri=site.tracking_uri, state_dir=site.state_dir, record=record, reason=reason
    )
