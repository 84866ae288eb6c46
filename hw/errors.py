"""The two errors that a user of gradwire can cause or meet."""


class InputError(ValueError):
    """A value from outside breaks a constraint; the message names both, in one line."""


class ToolError(RuntimeError):
    """An outside tool is missing or failed.

    The message is one line: which tool, what it said last, and where its log is.
    """
