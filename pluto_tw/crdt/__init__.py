# SPDX-License-Identifier: GPL-3.0-or-later
"""
One account as a replicated data type: what each operation does, and what mail clients then see.

Pure rules over records: no I/O, no clock, no randomness. `Replica` in `replica.py` turns an event
into a `Transaction`; `records.py` says what has to be stored, and by which keys it is asked for.
"""
