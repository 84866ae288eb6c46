"""`python -m gradwire`: the command line."""

from gradwire.cli import main

main()
