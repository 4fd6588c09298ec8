"""The wire between the processes: commands down; snapshot, then events up.

Types, framing, server and client. Imports no other part of the engine, so the screen can import it.
"""
