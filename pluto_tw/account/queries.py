# SPDX-License-Identifier: GPL-3.0-or-later
"""
The queries behind `records.py`: what is read of one account, by key or in a short range.

What is packed in the columns is `rows.py`'s to say; the first column or two of some are for
`records.py` itself.
"""

from typing import Final

ACCOUNT: Final = """
    SELECT id, position, state, vv, heads, sequencer, m, maxv, stable, base, gate, messages, octets
    FROM account WHERE identity = ?
"""
TRANSFERS: Final = """
    SELECT slot, incoming, header, trailer, cursor, began FROM snapshot WHERE account = ?
"""
BOXES: Final = """
    SELECT id, bid, name, stamp, dot, v, gen, special_use, bmsq, home_bid, home_gen, era, walk,
        tags, extra, messages, octets, unseen, deleted, recent, keywords
    FROM box WHERE account = ? ORDER BY bid
"""
VIEWS: Final = "SELECT id, bid, gen, unext, maxuid, hm, recent_from FROM view WHERE account = ?"
PEERS: Final = "SELECT slot, ack, cov, marks FROM peer WHERE account = ?"
MEMBERS: Final = """
    SELECT slot, replica, name, state, added, removed FROM member WHERE account = ? ORDER BY slot
"""
PENDING_COUNT: Final = "SELECT count(*) FROM pending WHERE account = ?"
PLACEMENT: Final = """
    SELECT m.box, m.pid, m.email, b.hash, m.size, m.date, m.zone, m.stamp, m.dot, m.place, m.id,
        p.uid, p.era, p.claim, p.bounced, p.msq, p.flags, p.keywords, p.key_bid, p.key_gen, p.extra
    FROM message m JOIN body b ON b.id = m.body JOIN placement p ON p.box = m.box AND p.id = m.id
    WHERE m.account = ? AND m.pid = ?
"""
PLACEMENTS_IN: Final = """
    SELECT m.pid, m.email, b.hash, m.size, m.date, m.zone, m.stamp, m.dot, m.place, m.id,
        p.uid, p.era, p.claim, p.bounced, p.msq, p.flags, p.keywords, p.key_bid, p.key_gen, p.extra
    FROM placement p JOIN message m ON m.id = p.id JOIN body b ON b.id = m.body
    WHERE p.box = ? AND p.id > ? ORDER BY p.id LIMIT ?
"""
PLACEMENTS_OF: Final = """
    SELECT m.pid, m.email, b.hash, m.size, m.date, m.zone, m.stamp, m.dot, m.place, m.id,
        p.uid, p.era, p.claim, p.bounced, p.msq, p.flags, p.keywords, p.key_bid, p.key_gen, p.extra
    FROM placement p JOIN message m ON m.id = p.id JOIN body b ON b.id = m.body
    WHERE p.box = ? AND p.id BETWEEN ? AND ?
"""
EXPOSED: Final = """
    SELECT json_group_array(uid) FROM placement
    WHERE box = ? AND uid > 0 AND era = ? AND key_bid IS ? AND key_gen IS ?
"""
PENDING: Final = """
    SELECT m.pid, m.box, m.id FROM pending n JOIN message m ON m.id = n.message
    WHERE n.account = ? AND n.message > ? ORDER BY n.message LIMIT ?
"""
PENDING_IN: Final = """
    SELECT m.pid, m.box, m.id FROM pending n JOIN message m ON m.id = n.message
    WHERE n.box = ? AND n.message > ? ORDER BY n.message LIMIT ?
"""
PENDING_OF: Final = """
    SELECT m.pid, m.box, m.id FROM message m JOIN pending n ON n.account = m.account
    AND n.message = m.id WHERE m.account = ? AND m.pid = ?
"""
CONTEXT: Final = "SELECT vector FROM context WHERE account = ? AND slot = ? AND seq = ?"
LOGGED: Final = "SELECT data, msq, head FROM log WHERE account = ? AND slot = ? AND seq = ?"
LOG_AFTER: Final = """
    SELECT seq, data, msq, head FROM log
    WHERE account = ? AND slot = ? AND seq > ? ORDER BY seq LIMIT ?
"""
HEAD: Final = "SELECT head FROM head WHERE account = ? AND slot = ? AND seq = ?"
FOLD: Final = """
    SELECT slot, seq, bid, above, pids FROM fold
    WHERE account = ? AND slot = ? AND seq = ? AND bid = ?
"""
# PARKED is -2.
FOLDS: Final = """
    SELECT slot, seq, bid, above, pids FROM fold
    WHERE account = ? AND slot = ? AND seq <= ? AND above > -2 ORDER BY seq, bid LIMIT ?
"""
FOLDS_OF: Final = """
    SELECT slot, seq, bid, above, pids FROM fold WHERE account = ? AND slot = ? AND seq = ?
"""
FLOOR: Final = "SELECT v FROM floor WHERE account = ? AND name = ?"
SUBSCRIPTION: Final = "SELECT entries FROM subscription WHERE account = ? AND name = ?"
SUBSCRIPTIONS: Final = """
    SELECT name, entries FROM subscription WHERE account = ? AND name > ? ORDER BY name LIMIT ?
"""
META: Final = """
    SELECT value, stamp, dot FROM meta WHERE account = ? AND bid = ? AND entry = ?
"""
METAS: Final = """
    SELECT bid, entry, value, stamp, dot FROM meta
    WHERE account = ? AND (bid, entry) > (?, ?) ORDER BY bid, entry LIMIT ?
"""
