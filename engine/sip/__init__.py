"""The trunk: pyVoIP's classes extended into a user agent that real trunks accept.

Messages, transactions, dialogs, digest and registration are state machines fed with messages and a
clock; the UDP socket is a thin shell around them. Nothing here dials by itself, decides policy, or
touches audio: RTP streams belong to `engine.media`.
"""
