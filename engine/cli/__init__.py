"""The command `offhook`. Starts the console with exec, never by import."""

from engine.cli.main import main

__all__ = ["main"]
