"""A PostgreSQL server of the tests' own, on loopback: a real one, where it is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from urllib.parse import quote

PASSWORD = "s3cr3t/of @tests"
_ROLE = "winnow"


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; None where it is not installed."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).parent
    # Debian keeps them beside the path, one folder a version
    folders = [each.parent for each in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class PostgresServer:
    """A server in a temporary folder; it may be stopped and started again."""

    def __init__(self) -> None:
        folder = programs()
        assert folder is not None
        self.port = free_port()
        self._bin = folder
        # outside of pytest's folder, into which another user may not look
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-of-tests-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if os.getuid() == 0:
            for path in (self._folder, password):
                os.chown(path, *self._user())
        options = ["--no-sync", "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
        self._run("initdb", "-D", self._folder / "data", "-U", _ROLE, *options)
        self.start()

    def address(self, database: str, password: str = PASSWORD) -> str:
        """Return the address of a database."""
        return f"postgresql://{_ROLE}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database; return its name."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}", "postgres")
        return name

    def execute(self, statement: str, database: str) -> list[list[object]]:
        """Execute a statement in a database of the server."""
        import pg8000.dbapi

        connection = pg8000.dbapi.connect(_ROLE, "127.0.0.1", database, self.port, PASSWORD)
        connection.autocommit = True
        try:
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self._folder}
        settings |= {"fsync": "off", "max_connections": 40, "shared_buffers": "16MB"}
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._process = subprocess.Popen(
            [str(self._bin / "postgres"), "-D", str(self._folder / "data"), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as_user(),  # type: ignore[arg-type]
        )
        for _ in range(600):
            try:
                self.execute("SELECT 1", "postgres")
                return
            except Exception:
                assert self._process.poll() is None, "the server has ended"
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def stop(self) -> None:
        """Stop the server at once, with its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, **self._as_user())  # type: ignore[call-overload]

    def _as_user(self) -> dict[str, object]:
        """Return what makes a program run as an ordinary user, as PostgreSQL wants it."""
        if os.getuid() != 0:
            return {"cwd": self._folder}
        user, group = self._user()
        return {"cwd": self._folder, "user": user, "group": group, "extra_groups": []}

    def _user(self) -> tuple[int, int]:
        entry = pwd.getpwnam("nobody")
        return entry.pw_uid, entry.pw_gid
