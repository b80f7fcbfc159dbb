# SPDX-License-Identifier: GPL-3.0-or-later
"""CREATE, RFC 9051 §6.3.4, with the parameter USE of RFC 6154 §3."""

from dataclasses import dataclass

from pluto_tw.imap.command import Reply
from pluto_tw.imap.grammar import Arguments
from pluto_tw.imap.list_response import old_name_responses
from pluto_tw.imap.responses import response_code
from pluto_tw.imap.session import Session
from pluto_tw.mail.codes import MAILBOXID, USEATTR
from pluto_tw.mail.errors import No
from pluto_tw.mail.names import without_declaration

#: The attributes of RFC 6154 §2 and RFC 8457 §3 as they are spelled, by lower case. For which of
#: them it makes mailboxes the account decides.
SPECIAL_USES = {
    use.lower(): use
    for use in (
        "\\All",
        "\\Archive",
        "\\Drafts",
        "\\Flagged",
        "\\Important",
        "\\Junk",
        "\\Sent",
        "\\Trash",
    )
}


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE; the name and the attributes, with their backslash, as the client gave them."""

    mailbox: str
    special_use: tuple[str, ...] = ()


def parse(arguments: Arguments, uid: bool) -> Create:
    r"""SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]"""
    arguments.space()
    mailbox = arguments.mailbox()
    special_use: list[str] = []
    if arguments.space_if():
        arguments.parenthesised(lambda: special_use.extend(_use(arguments)))
    arguments.end()
    return Create(mailbox, tuple(special_use))


def _use(arguments: Arguments) -> list[str]:
    arguments.keyword(b"USE")
    arguments.space()
    return arguments.parenthesised(lambda: _attribute(arguments), minimum=0)


def _attribute(arguments: Arguments) -> str:
    arguments.expect(b"\\")
    return "\\" + arguments.atom().decode("ascii")


async def run(session: Session, value: Create) -> Reply:
    """
    Makes the mailbox; OK tells its MAILBOXID (RFC 8474 §4.1).

    A separator at the end only declares inferiors, and "Server implementations that do not
    require this declaration MUST ignore" it.
    """
    account = session.the_account
    supplied = without_declaration(value.mailbox, account.separator)
    name = session.name(supplied)
    special_use = frozenset(_canonical(attribute) for attribute in value.special_use)
    mailbox_id = await account.create(name, special_use)
    session.send(*old_name_responses(supplied, name, account.separator, session.features))
    return Reply(code=response_code(MAILBOXID, f"({mailbox_id})"))


def _canonical(attribute: str) -> str:
    """*attribute* as it is spelled. No(USEATTR) if there is none such."""
    spelled = SPECIAL_USES.get(attribute.lower())
    if spelled is None:
        raise No(USEATTR, "there is no such special use")
    return spelled
