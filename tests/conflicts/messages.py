# SPDX-License-Identifier: GPL-3.0-or-later
r"""
Rows of commands on messages: APPEND, COPY, MOVE, STORE and EXPUNGE, each with each.

The rule behind them: what one site removes, it removes as far as it has seen it. Interest that it
had not seen (a new message, a copy, a move, a flag) keeps what that was interest in. Setting
`\Deleted` and the `\Seen` of reading are no interest.
"""

from typing import Final

from tests.conflicts.row import Row

APPENDS: Final = (
    Row(
        pair=("append", "append"),
        before="append INBOX m1",
        one="append INBOX a1; append INBOX a2",
        other="append INBOX b1; append INBOX b2",
        shows="INBOX: m1 a1 a2 b1 b2",
        renumbered="a1 a2 or b1 b2",
        says="All arrive. What was there before keeps its numbers; the new mail of one of the "
        "sites gets new ones, once.",
    ),
    Row(
        pair=("append", "append"),
        before="create N",
        one="append INBOX a1",
        other="append N b1",
        shows="INBOX: a1; N: b1",
        says="Different mailboxes: independent.",
    ),
    Row(
        pair=("append", "copy"),
        before="create N; append INBOX m1",
        one="append N a1",
        other="copy INBOX m1 N",
        shows="INBOX: m1; N: a1 m1",
        renumbered="a1 or m1",
        says="Both arrive.",
    ),
    Row(
        pair=("append", "move"),
        before="create N; append INBOX m1",
        one="append N a1",
        other="move INBOX m1 N",
        shows="N: a1 m1",
        renumbered="a1 or m1",
        says="Into one mailbox: both arrive.",
    ),
    Row(
        pair=("append", "move"),
        before="create N; append INBOX m1",
        one="append INBOX a1",
        other="move INBOX m1 N",
        shows="INBOX: a1; N: m1",
        says="Only what the MOVE named is moved.",
    ),
    Row(
        pair=("append", "store"),
        before="append INBOX m1",
        one="append INBOX a1",
        other="store INBOX m1 +\\Flagged",
        shows="INBOX: m1(\\Flagged) a1",
        says="Independent: both.",
    ),
    Row(
        pair=("append", "expunge"),
        before="append INBOX m1",
        one="append INBOX a1",
        other="expunge INBOX m1",
        shows="INBOX: a1",
        gone="m1",
        says="Independent: the new message is there, the expunged one is not.",
    ),
)

COPIES: Final = (
    Row(
        pair=("copy", "copy"),
        before="create N; append INBOX m1",
        one="copy INBOX m1 N",
        other="copy INBOX m1 N",
        shows="INBOX: m1; N: m1 m1",
        renumbered="m1",
        says="Two copies, as two COPY commands make anywhere.",
    ),
    Row(
        pair=("copy", "copy"),
        before="create N; create O; append INBOX m1",
        one="copy INBOX m1 N",
        other="copy INBOX m1 O",
        shows="INBOX: m1; N: m1; O: m1",
        says="To two mailboxes: one copy in each.",
    ),
    Row(
        pair=("copy", "move"),
        before="create N; append INBOX m1",
        one="copy INBOX m1 N",
        other="move INBOX m1 N",
        shows="N: m1 m1",
        renumbered="m1",
        says="The copy and the moved message are two.",
    ),
    Row(
        pair=("copy", "move"),
        before="create N; create O; append INBOX m1",
        one="copy INBOX m1 N",
        other="move INBOX m1 O",
        shows="N: m1; O: m1",
        says="To two mailboxes: the copy is in one, the message in the other.",
    ),
    Row(
        pair=("copy", "store"),
        before="create N; append INBOX m1 \\Seen",
        one="copy INBOX m1 N",
        other="store INBOX m1 +\\Flagged",
        shows="INBOX: m1(\\Flagged \\Seen); N: m1(\\Seen)",
        says="A copy has the flags that were known where it was made.",
    ),
    Row(
        pair=("copy", "expunge"),
        before="create N; append INBOX m1",
        one="copy INBOX m1 N",
        other="expunge INBOX m1",
        shows="N: m1",
        says="The copy stays; it does not keep the message that it was made of.",
    ),
)

MOVES: Final = (
    Row(
        pair=("move", "move"),
        before="create N; append INBOX m1",
        one="move INBOX m1 N",
        other="move INBOX m1 N",
        shows="N: m1",
        renumbered="m1",
        says="To one mailbox: one message there, not two.",
    ),
    Row(
        pair=("move", "move"),
        before="create N; create O; append INBOX m1",
        one="move INBOX m1 N",
        other="move INBOX m1 O",
        shows="N: m1; O: m1",
        says="To two mailboxes: one in each. Nobody can say which of the two was meant.",
    ),
    Row(
        pair=("move", "move"),
        before="create N; create O; append INBOX m1",
        one="move INBOX m1 N; move N m1 O",
        other="move INBOX m1 N",
        shows="N: nothing; O: m1",
        says="The same way, but one goes further: one message, at the end of the way.",
    ),
    Row(
        pair=("move", "move"),
        before="create N; create O; append INBOX m1",
        one="move INBOX m1 N; move N m1 INBOX",
        other="move INBOX m1 O",
        shows="INBOX: m1; N: nothing; O: m1",
        says="Moved away and back again at one site: one in each place where it ended.",
    ),
    Row(
        pair=("move", "move"),
        before="append INBOX m1",
        one="create N; move INBOX m1 N",
        other="create N; move INBOX m1 N",
        shows="N: m1 m1",
        renumbered="m1",
        revalidated="N",
        says="To one mailbox that both make for it: the two become one, but the message is there "
        "twice.",
    ),
    Row(
        pair=("move", "store"),
        before="create N; append INBOX m1",
        one="move INBOX m1 N",
        other="store INBOX m1 +\\Seen",
        shows="N: m1(\\Seen)",
        says="The flag is on the moved message.",
    ),
    Row(
        pair=("move", "store"),
        before="create N; append INBOX m1",
        one="move INBOX m1 N",
        other="store INBOX m1 +\\Deleted",
        shows="N: m1(\\Deleted)",
        says="This flag, too: the moved message is marked, and still there.",
    ),
    Row(
        pair=("move", "expunge"),
        before="create N; append INBOX m1",
        one="move INBOX m1 N",
        other="expunge INBOX m1",
        shows="N: m1",
        says="The moved message stays; the mark that the EXPUNGE went by is taken off.",
    ),
    Row(
        pair=("move", "expunge"),
        before="create Trash; append INBOX m1",
        one="move INBOX m1 Trash",
        other="move INBOX m1 Trash; expunge Trash m1",
        shows="Trash: m1",
        renumbered="m1",
        says="Both throw it away, one empties the trash: it is in the trash. Empty it again.",
    ),
)

STORES: Final = (
    Row(
        pair=("store", "store"),
        before="append INBOX m1",
        one="store INBOX m1 +\\Seen",
        other="store INBOX m1 +$Work",
        shows="INBOX: m1($Work \\Seen)",
        says="Different flags: both changes.",
    ),
    Row(
        pair=("store", "store"),
        before="append INBOX m1 \\Seen",
        one="store INBOX m1 -\\Seen",
        other="store INBOX m1 +\\Flagged",
        shows="INBOX: m1(\\Flagged)",
        says="One removes a flag, one sets another: both changes.",
    ),
    Row(
        pair=("store", "store"),
        before="append INBOX m1 \\Seen",
        one="store INBOX m1 -\\Seen",
        other="store INBOX m1 -\\Seen; store INBOX m1 +\\Seen",
        shows="INBOX: m1(\\Seen)",
        says="The same flag, removed at one site and set anew at the other: set.",
    ),
    Row(
        pair=("store", "store"),
        before="append INBOX m1",
        one="store INBOX m1 +\\Deleted",
        other="store INBOX m1 +\\Deleted; store INBOX m1 -\\Deleted",
        shows="INBOX: m1",
        says="`\\Deleted` is the exception: whoever takes it off has the say.",
    ),
    Row(
        pair=("store", "store"),
        before="append INBOX m1",
        one="store-if-unchanged INBOX m1 +\\Flagged",
        other="store-if-unchanged INBOX m1 +$Work",
        shows="INBOX: m1($Work \\Flagged)",
        says="UNCHANGEDSINCE looks at the site that it is sent to. Both pass, and both changes are "
        "kept: it is no lock between sites.",
    ),
    Row(
        pair=("store", "expunge"),
        before="append INBOX m1; append INBOX m2",
        one="store INBOX m1 +\\Flagged",
        other="expunge INBOX m1,m2",
        shows="INBOX: m1(\\Flagged)",
        gone="m2",
        renumbered="m1",
        says="The message that someone flagged stays; the mark that the EXPUNGE went by is taken "
        "off.",
    ),
    Row(
        pair=("store", "expunge"),
        before="append INBOX m1 \\Deleted",
        one="store INBOX m1 -\\Deleted",
        other="expunge INBOX m1",
        shows="INBOX: m1",
        renumbered="m1",
        says="Whoever changes their mind in time keeps the message.",
    ),
    Row(
        pair=("store", "expunge"),
        before="append INBOX m1",
        one="store INBOX m1 +\\Deleted",
        other="expunge INBOX m1",
        shows="INBOX: nothing",
        gone="m1",
        says="Marking it as deleted is no wish to keep it.",
    ),
    Row(
        pair=("store", "expunge"),
        before="append INBOX m1",
        one="read INBOX m1",
        other="expunge INBOX m1",
        shows="INBOX: nothing",
        gone="m1",
        says="Nor is the `\\Seen` that reading sets by itself.",
    ),
    Row(
        pair=("store", "expunge"),
        before="create Trash; append Trash m1; append Trash m2; append Trash m3",
        one="store Trash m1,m2,m3 +\\Seen",
        other="expunge Trash m1,m2,m3",
        shows="Trash: m1(\\Seen) m2(\\Seen) m3(\\Seen)",
        renumbered="m1 m2 m3",
        says="“Mark all as read” against “empty the trash”: all of it is back. Empty it again.",
    ),
)

EXPUNGES: Final = (
    Row(
        pair=("expunge", "expunge"),
        before="append INBOX m1; append INBOX m2; append INBOX m3",
        one="expunge INBOX m1,m2",
        other="expunge INBOX m2,m3",
        shows="INBOX: nothing",
        gone="m1 m2 m3",
        says="What either of them removed is gone.",
    ),
)
