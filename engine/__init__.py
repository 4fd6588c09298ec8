"""The phone: signalling, media, detection, the dialing flow, the store and the wire.

Runs in a process of its own and never imports the screen. Each folder's docstring says what lives
in it. The modules here join the folders: `legs` (words that signalling and the dialer share), `text`,
`config` and `config_file`, `line` (calls and streams as legs), `station` (a phone that works), `wire` and
`projection` (state as messages), `desk` (the operator's commands), and `service`, which puts the engine
together and knows all of them.
"""
