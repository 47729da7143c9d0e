"""What the numbers were measured on and with."""

import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import time

from place import BENCH, DEWAR, LOAD_CORE, REPOSITORY, SERVER_CORE, WORK

# Of each program's Cargo.lock, what its users would name.
CRATES = {
    "peers/rocket_plain": ["rocket", "rocket_dyn_templates", "minijinja"],
    "peers/rocket_flex": ["rocket_flex_session", "sqlx"],
    "peers/tower": ["axum", "tower-sessions", "tower-sessions-sqlx-store"],
    "peers/actix": ["actix-web", "actix-session"],
}
NPM = ["express", "express-session", "better-sqlite3", "better-sqlite3-session-store", "nunjucks"]
PYTHON = ["Flask", "Flask-Session", "Flask-SQLAlchemy", "SQLAlchemy", "gunicorn", "redis"]


def gather():
    return {
        "processor": processor(),
        "processors": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "virtual": said("systemd-detect-virt", "--vm") or "none",
        "disk": said("findmnt", "-no", "FSTYPE", "-T", str(WORK)),
        "fsync_us": fsync_time(),
        "load_average": os.getloadavg()[0],
        "cores": [SERVER_CORE, LOAD_CORE],
        "dewar": said(str(DEWAR), "--version"),
        "commit": said("git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"),
        "versions": versions(),
    }


def versions():
    found = {
        "rustc": said("rustc", "--version").split()[1],
        "Redis": re.search(r"v=(\S+)", said("redis-server", "--version")).group(1),
        "Node": said("node", "--version").lstrip("v"),
    }
    for program, names in CRATES.items():
        lock = (BENCH / program / "Cargo.lock").read_text()
        for name in names:
            found[name] = re.search(rf'name = "{name}"\nversion = "(.+)"', lock).group(1)
    for name in NPM:
        package = BENCH / "peers/express/node_modules" / name / "package.json"
        found[name] = json.loads(package.read_text())["version"]
    python = BENCH / "target/flask/bin/python"
    found["Python"] = said(str(python), "--version").split()[1]
    for line in said(str(python), "-m", "pip", "list", "--format=freeze").splitlines():
        name, version = line.split("==")
        for wanted in PYTHON:
            if name.lower().replace("_", "-") == wanted.lower():
                found["redis-py" if wanted == "redis" else wanted] = version
    return found


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def fsync_time():
    """Median microseconds of a small write made durable, which bounds what a commit can be."""
    path = WORK / "fsync"
    times = []
    with path.open("wb") as file:
        for _ in range(200):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1e6)
    path.unlink()
    return round(statistics.median(times))


def said(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""
