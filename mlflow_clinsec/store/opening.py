"""From the configuration to the store, or to none."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow_clinsec.config_sections import CacheConfig
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.store.home import default_folder
from mlflow_clinsec.store.store import Store

logger = logging.getLogger(__name__)


@contextmanager
def opened(config: CacheConfig) -> Iterator[Store | None]:
    """The store that the configuration asks for, or None.

    A store in the default place that cannot be used is done without, with a warning.

    Raises:
        ConfigError: a folder that the user named cannot be used.
    """
    store = _open(config) if config.enabled else None
    try:
        yield store
    finally:
        if store is not None:
            store.close()


def _open(config: CacheConfig) -> Store | None:
    if config.dir is not None:
        return Store(Path(config.dir), config.max_gb)
    try:
        return Store(default_folder(), config.max_gb)
    except ConfigError as error:
        logger.warning("clinsec: nothing is kept between audits, and a killed one starts anew: %s", error)
        return None
