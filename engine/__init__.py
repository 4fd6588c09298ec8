"""The phone: signalling, media, detection, the dialing flow, the store and the wire.

Runs in a process of its own and never imports the screen. Each folder's docstring says what lives
in it; `service.py` is the only module that knows all of them.
"""
