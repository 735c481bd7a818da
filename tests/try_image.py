"""Build the image without Docker and try the service from inside it: `sudo make try-image`.

Needs Linux, root, and Debian's packages debootstrap and buildah.  The recipe's steps run as they stand, on a base
made of Debian's own Python packages in place of the official Python image.  Then the image's entry point, environment,
user and health check are taken from its configuration and tried in its file system, read-only but for /tmp and the
volume.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
IMAGE = "chainrule-trial"
CERTIFICATES = "/etc/ssl/certs:/etc/ssl/certs:ro"


def run(*command: str | Path, **options: Any) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout.strip()


def buildah(*arguments: str | Path) -> str:
    return run("buildah", "--storage-driver", "vfs", *arguments)


def make_base(directory: Path) -> None:
    """A stand-in for the image that the Dockerfile starts from, under its name."""
    match = re.search(r"^FROM (python:([\d.]+)-slim-(\w+)) AS", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert match
    base, version, release = match.groups()
    run("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", release, directory)
    for name in ("python", "python3"):
        (directory / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    found = run("chroot", directory, "python", "--version")
    assert found.startswith(f"Python {version}."), f"{release} has {found}, the Dockerfile wants {version}"
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, directory, "/")
    buildah("commit", "--quiet", "--rm", container, f"docker.io/library/{base}")


def build() -> None:
    options = ["--format=docker", "--isolation=chroot", "--network=host", "--pull-never", f"--volume={CERTIFICATES}"]
    buildah("bud", *options, "--tag", IMAGE, ROOT)


class Trial:
    """The image's file system, and what its configuration says of how to run it."""

    def __init__(self, volume: Path) -> None:
        config = json.loads(buildah("inspect", "--type=image", IMAGE))["Docker"]["config"]
        self.container = buildah("from", "--pull-never", IMAGE)
        self.root = buildah("mount", self.container)
        self.environment: list[str] = config["Env"]
        self.entry: list[str] = config["Entrypoint"] + config["Cmd"]
        self.user: str = config["User"]
        (self.mount_point,) = config["Volumes"]
        self.health: list[str] = config["Healthcheck"]["Test"]
        self.volume = volume
        run("chown", self.user, volume)

    def start(self) -> subprocess.Popen[bytes]:
        """The container's process: a read-only root with the volume and a /tmp, seen by nobody else."""
        root = shlex.quote(self.root)
        mounts = f"""
            mount --bind {root} {root} && mount -o remount,bind,ro {root}
            mount -t tmpfs tmpfs {root}/tmp && mount -t proc proc {root}/proc && mount --rbind /dev {root}/dev
            mount --bind {shlex.quote(str(self.volume))} {root}{self.mount_point}
            cd / && exec {shlex.join(self.inside(*self.entry))}
        """
        return subprocess.Popen(["unshare", "--mount", "sh", "-ec", mounts], stdin=subprocess.DEVNULL)

    def inside(self, *command: str) -> list[str]:
        return ["chroot", f"--userspec={self.user}", self.root, "/usr/bin/env", "-i", *self.environment, *command]

    def healthy(self) -> bool:
        kind, *command = self.health
        assert kind == "CMD"
        return subprocess.run(self.inside(*command), stderr=subprocess.DEVNULL).returncode == 0


def request(path: str, body: bytes | None = None) -> Any:
    sent = urllib.request.Request(f"http://127.0.0.1:8000{path}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(sent) as answer:
        return json.load(answer)


def serve(trial: Trial, use: Any) -> Any:
    """Start the service, use it once it is healthy, and end it as a container's end does."""
    process = trial.start()
    try:
        began = time.monotonic()
        while not trial.healthy():
            assert process.poll() is None and time.monotonic() - began < 60, "the service does not become healthy"
        print(f"healthy after {time.monotonic() - began:.1f} s")
        answer = use()
    except BaseException:
        process.kill()
        raise
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0, "SIGTERM did not end it cleanly"
    return answer


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        base, volume = Path(directory, "base"), Path(directory, "volume")
        volume.mkdir()
        make_base(base)
        build()
        trial = Trial(volume)
        neuron = (ROOT / "examples/neuron.json").read_bytes()
        posted = serve(trial, lambda: request("/v1/runs", neuron))
        found = serve(trial, lambda: request(f"/v1/runs/{posted['id']}"))
        assert found == posted
        size = run("du", "-sm", trial.root).split()[0]
        buildah("rm", trial.container)
        print(f"built, {size} MB with its stand-in base; answered, restarted and found the run again")


main()
