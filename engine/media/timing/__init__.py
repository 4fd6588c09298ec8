"""The media thread's time: its clock, its priority, and what must not take either from it.

Other threads of the interpreter, garbage collection, and work that gives way under overload. Nothing here
knows what a tick does.
"""
