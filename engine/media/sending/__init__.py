"""What a stream sends: a bridged stream's packets, or our own audio and digits cut into packets at each tick.

Sources are mixed, faded and encoded here; the packets' numbers and addresses are `network`'s.
"""
