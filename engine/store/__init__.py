"""Queue entries, attempts, call records and the dialogs that are up, in SQLAlchemy (SQLite by default).

Knows what is kept and how it survives a crash; knows nothing of calls, screens or sockets.
"""
