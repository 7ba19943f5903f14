"""Where the service's own words go."""

import logging
import time


def log_to_stderr() -> None:
    """One line an event on standard error, with its time in UTC."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(level=logging.INFO, format="%(asctime)sZ %(levelname)s %(name)s: %(message)s", force=True)
    for noisy in ("alembic", "matplotlib", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
