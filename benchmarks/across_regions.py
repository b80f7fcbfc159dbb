# SPDX-License-Identifier: GPL-3.0-or-later
"""
From OK at one region to EXISTS at the other: `python -m benchmarks.across_regions`.

Against a demo that runs (`make run`), through its distributors, workers and relay. A writer at eu
appends twenty small messages a second for ten seconds; a reader idles at us. What is counted is the
time from the writer's OK to the reader's EXISTS, as the two clients see it on one machine.
"""

import os
import ssl
import statistics
import threading
import time
from typing import Final

from imapclient import IMAPClient

APPENDS: Final = 200
SECONDS_BETWEEN: Final = 0.05
#: "p50 at most 20 ms, p99 at most 100 ms".
MEDIAN_MAX: Final = 0.020
HIGH_MAX: Final = 0.100


def _client(port: int) -> IMAPClient:
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    client = IMAPClient("127.0.0.1", port, ssl_context=tls, timeout=30)
    client.login("user9", "secret9")
    client.select_folder("INBOX")
    return client


def main() -> None:
    """Prints the two figures; ends with 1 if a bound is missed."""
    base = int(os.environ.get("DEMO_PORT_BASE", "10000"))
    writer, reader = _client(base + 993), _client(base + 1993)
    known = len(reader.search("ALL"))
    seen: dict[int, float] = {}
    reader.idle()

    def read() -> None:
        while known + APPENDS not in seen:
            for told in reader.idle_check(timeout=30):
                if told[1] == b"EXISTS":
                    seen[told[0]] = time.perf_counter()

    thread = threading.Thread(target=read)
    thread.start()
    acknowledged = []
    pause = threading.Event()
    for number in range(APPENDS):
        begin = time.perf_counter()
        writer.append("INBOX", b"Subject: %d\r\n\r\n" % number)
        acknowledged.append(time.perf_counter())
        pause.wait(max(0.0, SECONDS_BETWEEN - (time.perf_counter() - begin)))
    thread.join()
    delays = []
    for number, at in enumerate(acknowledged, known + 1):
        # Two that came at once are told by one EXISTS.
        first = min(when for count, when in seen.items() if count >= number)
        delays.append(max(0.0, first - at))
    median = statistics.median(delays)
    high = statistics.quantiles(delays, n=100)[98]
    print(f"OK at eu to EXISTS at us: p50 {median * 1e3:.1f} ms, p99 {high * 1e3:.1f} ms")
    raise SystemExit(median > MEDIAN_MAX or high > HIGH_MAX)


if __name__ == "__main__":
    main()
