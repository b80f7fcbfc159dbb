# SPDX-License-Identifier: GPL-3.0-or-later
"""
The two errors that a client is told of.

Anything else that is raised while a command runs is our bug: the session logs it with its
traceback and tells the client nothing of it but that there was one.
"""


class Bad(Exception):
    """
    What the client sent is not a command we know, or has no such form: answered `BAD`.

    *text* is for the client: printable, without CR or LF. RFC 9051 §7.1.3.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class No(Exception):
    """
    A well-formed command that cannot be done: answered `NO`, RFC 9051 §7.1.2.

    *code* is a response code of `pluto_tw.mail.codes` with its arguments, if it has any, in
    *argument* (already in the form of the wire, e.g. `8192` for LIMIT). *text* is for the client.
    """

    def __init__(self, code: str | None, text: str, argument: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.argument = argument
