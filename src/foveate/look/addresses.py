"""Refuse requests that are not for the page's own address or do not come from the page itself.

The owner of a foreign page can point a name at this machine (DNS rebinding); a browser that shows that page
then sends its requests here, and it could read the answers. The headers of a request reveal that name.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["LOOPBACK", "OwnAddress", "own_names"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
Message = MutableMapping[str, Any]


def own_names(host: str) -> frozenset[str]:
    """Return the names under which a page served at `host` is requested; "" stands for any IP address.

    An IP address cannot be a foreign name, so a page for other machines answers to all addresses of this one.
    """
    names = {"127.0.0.1", "localhost", "[::1]"}
    if host not in LOOPBACK:
        names |= {"", host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
    return frozenset(names)


class OwnAddress:
    """ASGI middleware that passes on requests whose Host, and any Origin, is one of `names` at `port`."""

    def __init__(self, app: Any, names: frozenset[str], port: int) -> None:
        self.app, self.names, self.port = app, names, port

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer a request that is not allowed with status 403, before its body is read."""
        if scope["type"] not in ("http", "websocket") or self.allows(scope["headers"]):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            said = f"This page answers only at its own address, with port {self.port}, and to no other page."
            head = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 403, "headers": head})
            await send({"type": "http.response.body", "body": said.encode()})

    def allows(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Return whether a request with these `headers` is sent to this page, and from it."""
        hosts = [value.decode("latin-1").lower() for key, value in headers if key == b"host"]
        origins = [value.decode("latin-1").lower() for key, value in headers if key == b"origin"]
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return False
        return all(origin in (f"http://{hosts[0]}", f"https://{hosts[0]}") for origin in origins)

    def _is_own(self, host: str) -> bool:
        # Browsers omit port 80.
        name, _, port = host.rpartition(":") if self.port != 80 or host.endswith(":80") else (host, "", "80")
        if port != str(self.port):
            return False
        return name in self.names or ("" in self.names and _is_number(name))


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
