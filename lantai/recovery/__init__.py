"""The archive without its database."""

from .rebuild import Rebuilt, rebuild

__all__ = ["Rebuilt", "rebuild"]
