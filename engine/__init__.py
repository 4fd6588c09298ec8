"""The phone: signalling, media, detection, the dialing flow, the store and the wire.

Runs in a process of its own and never imports the screen. Each folder's docstring says what lives
in it. The modules here join the folders: `legs` (words that signalling and the dialer share), `text`,
`config` and `config_file`, `line` (calls and streams as legs), `station` (a phone that works), `wire` and
`projection` (state as messages), `desk` (the operator's commands), and `service`, which puts the engine
together and knows all of them.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""For numpy, before it is first imported: our products are small and made in threads and processes of our
own, where handing parts of them to further threads costs several times what it saves."""
