"""The queue's policy and the flows: wait tone then bridge, the operator's end, compliance.

Sees legs, seats, the store and time through the protocols in `ports.py`, so a day of campaign
runs in a test in seconds. No SIP, no RTP, no socket here.
"""
