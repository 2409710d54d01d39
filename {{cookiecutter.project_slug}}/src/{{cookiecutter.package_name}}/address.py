"""The address to serve at."""

from __future__ import annotations

import ipaddress
import socket

from .config import ConfigError


def address(host: str, port: int) -> str:
    """As it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check(host: str, port: int, development: bool) -> None:
    """Raises ConfigError if nothing can listen there, or if others could read tracebacks there."""
    if development and not is_loopback(host):
        raise ConfigError(
            "In development the page shows tracebacks, so it is for this machine alone: "
            f"{host} can be called from others. "
            "Serve at 127.0.0.1, or without --reload and SILO_DEVELOPMENT."
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]
        raise ConfigError(f"{address(host, port)} cannot be listened on: {why}.") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
