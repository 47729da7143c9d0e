"""Where things are, and which processor runs what."""

import os
import pathlib
import shutil
import socket

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BENCH = REPOSITORY / "bench"
BUILT = BENCH / "target/release"
DEWAR = REPOSITORY / "dist/dewar"
OUT = REPOSITORY / "target/bench"
WORK = OUT / "work"
DOCUMENT = REPOSITORY / "docs/performance.md"

cores = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = cores[0], cores[-1]


def pinned(core, command):
    return ["taskset", "-c", str(core), *map(str, command)]


def clean_environment(**more):
    """This one's, without what would configure a server."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLASK_", "ROCKET_", "DATABASE", "PORT", "ROLLING"))
    }
    return kept | {name: str(value) for name, value in more.items()}


GIVEN = set()


def free_port():
    """One that nobody uses, and no other server of this run is about to."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        if port not in GIVEN:
            GIVEN.add(port)
            return port


def fresh_directory(name):
    """On the repository's disk and not in memory: commits are to wait for a disk."""
    path = WORK / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
