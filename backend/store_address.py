"""Where several replicas keep what they share: a PostgreSQL database, whose password is shown nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ..plugin.errors import WinnowError

STORE, STORE_FILE = "WINNOW_STORE", "WINNOW_STORE_FILE"
_SCHEMES = ("postgresql", "postgres")
_TLS = ("disable", "prefer", "require", "verify-full")
_FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


class StoreAddressError(WinnowError):
    """An address that is none; the message holds nothing of it, since a password may be anywhere in it."""


@dataclass(frozen=True)
class StoreAddress:
    """The address of a PostgreSQL database.

    Attributes:
        user: Name of the role.
        password: Its password; None = the server asks for none.
        host: Name, address, or folder of the server's Unix socket.
        port: Port.
        database: Name of the database, which holds nothing else.
        tls: "disable", "prefer", "require", or "verify-full" (the certificate has to be of that host).
        tls_root: Certificates that "verify-full" trusts; None = the system's.
    """

    user: str
    host: str
    database: str
    port: int = 5432
    password: str | None = field(default=None, repr=False)
    tls: str = "prefer"
    tls_root: Path | None = None

    def __str__(self) -> str:
        return f"postgresql://{self.host}:{self.port}/{self.database}"

    @classmethod
    def parse(cls, text: str) -> StoreAddress:
        """Read `postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=...&sslrootcert=FILE`.

        A server's Unix socket is named by `?host=/FOLDER` after an address without host.

        Raises:
            StoreAddressError: It is none.
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port or 5432
            options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        except ValueError:
            raise _malformed() from None
        if parts.scheme not in _SCHEMES:
            raise StoreAddressError(
                f"the store of several replicas has to be a PostgreSQL database, {_FORM}. (For one server no store is "
                "named: it keeps a file in its state folder.)"
            )
        host, tls, root = (
            options.pop("host", parts.hostname),
            options.pop("sslmode", "prefer"),
            options.pop("sslrootcert", None),
        )
        database = unquote(parts.path.removeprefix("/"))
        if not (parts.username and host and database) or "/" in database or parts.fragment:
            raise _malformed()
        if options or tls not in _TLS or (root is not None and tls != "verify-full"):
            raise StoreAddressError(
                f"the store's address may name host, sslmode ({', '.join(_TLS)}) and, with verify-full, sslrootcert "
                "after a question mark, and nothing else."
            )
        password = None if parts.password is None else unquote(parts.password)
        return cls(unquote(parts.username), host, database, port, password, tls, None if root is None else Path(root))

    def text(self) -> str:
        """Return it with its password, for a process's environment and nothing else."""
        login = quote(self.user, safe="") + ("" if self.password is None else ":" + quote(self.password, safe=""))
        options = {"host": self.host, "sslmode": self.tls}
        if self.tls_root is not None:
            options["sslrootcert"] = str(self.tls_root.absolute())
        return f"postgresql://{login}@:{self.port}/{quote(self.database, safe='')}?{urlencode(options)}"


def store_address(environment: Mapping[str, str], said: str | None = None) -> StoreAddress | None:
    """Return the address of the store that replicas share; None = there is but one server, with a file of its own.

    Args:
        environment: With the address in WINNOW_STORE, or the name of a file that holds it in WINNOW_STORE_FILE.
        said: The address on the command line, which other users of the machine can read: without a password.

    Raises:
        StoreAddressError: It is none, or stands in several places, or where everybody can read it.
    """
    text, file = environment.get(STORE, "").strip(), environment.get(STORE_FILE, "").strip()
    if sum(map(bool, (text, file, said))) > 1:
        raise StoreAddressError(f"the store is named more than once: give one of {STORE}, {STORE_FILE} and --store.")
    if file:
        try:
            text = Path(file).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError) as cause:
            raise StoreAddressError(f"{STORE_FILE} names '{file}', which can't be read: {_reason(cause)}.") from None
    if said:
        address = StoreAddress.parse(said)
        if address.password is not None:
            raise StoreAddressError(
                f"--store holds a password, which everybody on this machine can read. Put the address into {STORE}, or "
                f"into a file that {STORE_FILE} names."
            )
        return address
    return StoreAddress.parse(text) if text or file else None


def _reason(cause: Exception) -> str:
    return (cause.strerror if isinstance(cause, OSError) else None) or "it is no text"


def _malformed() -> StoreAddressError:
    return StoreAddressError(
        f"the store's address is not of the form {_FORM}. Write special characters of user and password as %40 for @, "
        "%2F for /, and so on."
    )
