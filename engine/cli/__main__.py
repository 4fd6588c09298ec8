"""`python -m engine.cli`: the command `offhook` without its script."""

from engine.cli.main import main

main()
