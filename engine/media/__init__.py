"""Audio: each leg's stream on its 20 ms clock, codecs, bridge, mixer, player, recorder and the headset.

One thread serves every stream. The rest of the engine talks to it by orders and hears of it by
facts (`orders.py`); nothing here knows of SIP, of queues or of who is called. `network` has the packets and
sockets, `playout` what makes even audio of what arrives, `sending` what is sent, `sound` the sound card,
`timing` the thread's own time; what binds them, and audio itself, is here.
"""
