"""Where the package keeps its own files on this machine, for their owner alone."""

from __future__ import annotations

import os
import platform
import stat
from pathlib import Path

from mlflow_clinsec.errors import ConfigError

VARIABLE = "CLINSEC_CACHE_DIR"
"""Environment variable that names the folder."""


def default_folder() -> Path:
    """The folder that the environment names, else the platform's place for caches."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    home = Path.home()
    places = {
        "Windows": Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"),
        "Darwin": home / "Library" / "Caches",
    }
    other = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return places.get(platform.system(), other) / "mlflow-clinsec"


def own_folder(folder: Path, key: str) -> Path:
    """Make the folder for its owner alone (mode 0700); one that exists is taken only if it is so already.

    Args:
        key: what messages call the setting.

    Raises:
        ConfigError: it cannot be made, or other users may enter it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise ConfigError(f"{key}: the folder cannot be made ({type(error).__name__}).") from None
    if os.name == "posix" and mode & 0o077:
        raise ConfigError(
            f"{key}: other users may enter this folder (mode {mode:o}), and what it holds is for its owner alone. "
            "Name a folder that does not exist yet, or one of mode 700."
        )
    return folder
