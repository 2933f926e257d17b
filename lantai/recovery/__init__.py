"""The archive without its database."""

from .rebuild import Rebuilt, catch_up, rebuild

__all__ = ["Rebuilt", "catch_up", "rebuild"]
