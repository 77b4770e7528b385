"""Where a server is and who asks: the address without credentials, and the key."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Address:
    """A server's base address.

    Attributes:
        url: scheme, host, port and path, without credentials and without a slash at the end.
        local: the server runs on this machine.
        secure: nobody on the way reads along: https, or this machine.
        login: user and password that stood in the address.
    """

    url: str
    local: bool
    secure: bool
    login: tuple[str, str] | None = field(default=None, repr=False)


def parse(base_url: str) -> Address:
    """The address that a base URL stands for.

    Raises:
        ValueError: it is no http or https URL of a server, or has a query or fragment.
    """
    # Not a word of what was given is repeated in these errors: it may hold a password.
    if any(c.isspace() or not c.isprintable() or c == "\\" for c in base_url):
        raise ValueError("a base URL has no spaces, backslashes or control characters")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a base URL is http://HOST:PORT/v1 or https://HOST/v1")
    if parts.query or parts.fragment:
        raise ValueError("a base URL ends with its path, such as /v1; give a key as VIDERE_API_KEY")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port is not None else ""
    local = _is_local(parts.hostname)
    login = (unquote(parts.username or ""), unquote(parts.password or "")) if "@" in parts.netloc else None
    url = f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
    return Address(url, local=local, secure=local or parts.scheme == "https", login=login)


def key_for(address: Address, given: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The key to send to a server: the given one, else VIDERE_API_KEY, else OPENAI_API_KEY where nobody reads along.

    Raises:
        ValueError: the key cannot stand in a header, or the address holds a login as well.
    """
    if given is not None and address.login:
        raise ValueError("give either a key or a login in the address, not both")
    if address.login:
        return None
    key = given if given is not None else environment.get("VIDERE_API_KEY")
    if key is None and address.secure:
        # This one is meant for another server by name: it does not go in clear text to whichever host was typed.
        key = environment.get("OPENAI_API_KEY")
    key = (key or "").strip()
    if not key.isascii() or not key.isprintable():
        raise ValueError("an API key is printable ASCII text; this one has other characters")
    return key or None


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
