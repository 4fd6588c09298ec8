"""RTP, jitter buffer, codecs, the 20 ms clock, bridge, player, recorder and the sound card.

One thread serves every stream. The rest of the engine talks to it by orders and hears of it by
facts (`orders.py`); nothing here knows of SIP, of queues or of who is called.
"""
