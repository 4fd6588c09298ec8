"""A stream's packets: RTP, SRTP and RTCP, the sockets they pass through, and what they tell of the line.

Nothing here decodes audio or knows who listens to it.
"""
