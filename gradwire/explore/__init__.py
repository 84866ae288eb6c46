"""The search for the best machine for a network on a chip: `gradwire explore`.

`space` lists what could be built, `search` finds the front and has synthesis confirm it, `tasks`
are what it has done elsewhere, by the processes or the cluster of `workers`, and `history` keeps
their results.
"""
