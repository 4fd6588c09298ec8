"""What the line says: tones and silence today, one frame of 160 samples at a time.

Frames in, detections out: no clock, no thread, no socket, and numpy is the only import. The same
code serves a live leg, a recording and the tests.
"""
