"""Reports: what a machine is, how fast, how large, how frugal, beside the paper and software.

`collect` measures, `model` is what is kept as JSON, `page` makes HTML of it, `compare` says what
changed from one to another.
"""
