"""The operator's headset: devices, each in a process of its own, and their rates and clocks brought to ours.

Nothing here knows of streams' packets or of calls; what is said and heard comes and goes through `card`.
"""
