"""The trunk: pyVoIP's classes extended into a user agent that real trunks accept.

Messages, transactions, dialogs, digest, registration and calls are state machines fed with messages and a
clock: no socket, thread or asyncio in them, so that a test plays hours of a call in no time. Around them, and
only there: `network` with `transport` (UDP), `streams` (TCP, TLS) and `resolver` (DNS); `threaded`, pyVoIP's
way to run a phone; `trace` and `pcap`, which write files. `phone` joins the two sides and is what the rest of
the engine uses; `sdp` has the session descriptions.

Nothing here decides policy (who may be called, which trunk, what a redirect or a transfer may lead to: it
asks by callbacks), touches audio (RTP is `engine.media`'s, reached through `mediaplane`) or stores anything.
"""
