# SPDX-License-Identifier: GPL-3.0-or-later
"""
The page at PrometheusAddr: `GET /metrics`, in the formats that Prometheus understands.

It is made on the reactor's thread, since what is read there changes on it; the library's own
resource for Twisted makes it on another. Nothing that costs is counted for it, so a page is ready
in a millisecond or two.
"""

from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from twisted.web import http
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

#: Prometheus keeps its connection for the next time, mostly a minute later.
IDLE_SECONDS_MAX: Final = 120


def site(reactor: Any, registry: CollectorRegistry) -> Site:
    """What a listener is given."""
    root = _Root()
    root.putChild(b"metrics", MetricsPage(registry))
    return QuietSite(root, timeout=IDLE_SECONDS_MAX, reactor=reactor)


class _Root(Resource):
    """Above the page, where nothing is."""

    def getChild(self, path: bytes, request: http.Request) -> IResource:
        """Called by Twisted for what is not known."""
        found: IResource = notFound()
        return found


class QuietSite(Site):
    """A site whose requests are no events of ours."""

    noisy = False

    def log(self, request: http.Request) -> None:
        """Nothing is logged."""


class MetricsPage(Resource):
    """What *registry* has now."""

    isLeaf = True

    def __init__(self, registry: CollectorRegistry) -> None:
        Resource.__init__(self)
        self._registry = registry

    def render(self, request: Request) -> bytes:
        """Called by Twisted, for every method; of HEAD it sends no body."""
        if request.method not in (b"GET", b"HEAD"):
            request.setResponseCode(http.NOT_ALLOWED)
            request.setHeader("allow", "GET, HEAD")
            return b""
        accept = request.getHeader("accept") or ""
        encode, content_type = choose_encoder(accept)
        request.setHeader("content-type", content_type)
        return encode(self._registry)
