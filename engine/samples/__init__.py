"""Known announcements on disk: a folder of audio with a TOML file beside each, and what makes a library of
it.

What lives here reads and writes files; how announcements are recognised is in `engine.detect`.
"""
