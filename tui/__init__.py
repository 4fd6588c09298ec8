"""The console: a Textual app that is a pure view of a running engine.

Everything shown arrives over the engine's socket as `engine.control` messages and everything done
leaves as commands; no call depends on this process being alive.
"""
