"""A loopback carrier on sippy, a SIP stack that is not ours: registrar, callees, an agent who talks.

Runs in a process of its own (sippy's event dispatcher wants one) and shares no signalling or media
code with the engine, so that two bugs can't cancel out.
"""
