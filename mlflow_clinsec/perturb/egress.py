"""Where a record may be sent: nowhere, unless the configuration names the host."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from mlflow_clinsec.errors import ConfigError

_HARMLESS = frozenset({"api-version"})


def host_of(url: str, key: str) -> str:
    """The host that a web address names, in lower case.

    Args:
        key: name of the setting, for messages.

    Raises:
        ConfigError: no http(s) address, or one that carries a user name, a password or a query that may hold a key:
            reports show addresses.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or port == 0:
        raise ConfigError(f"{key}: expected an address that starts with http:// or https:// and names a host.")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"{key}: holds a user name or password; name an environment variable in 'api_key_env'.")
    if {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - _HARMLESS:
        raise ConfigError(f"{key}: holds a query, which may hold a key; name an environment variable in 'api_key_env'.")
    return host


def refuse_egress(url: str, key: str, allowed: Sequence[str]) -> None:
    """Refuse an address whose host is not named, letter for letter, in ``allow_egress``.

    Raises:
        ConfigError: saying which host has to be named, and what follows from naming it.
    """
    host = host_of(url, key)
    if host not in {name.lower() for name in allowed}:
        named = ", ".join(allowed) or "no host"
        raise ConfigError(
            f"{key}: would send the text of every record to {host!r}, which allow_egress does not name "
            f"(it names {named}). Where that is intended, set allow_egress to [{host!r}]."
        )
