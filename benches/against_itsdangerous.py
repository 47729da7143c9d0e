"""Runs benches/cookie.rs and the same work in Flask by turns, and prints a Markdown table.

`benches/against_itsdangerous` prepares what this needs and runs it.
"""

import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import timeit

from flask import Flask
from flask.sessions import SecureCookieSessionInterface

MAX_AGE = 31 * 86_400
ROUNDS = int(sys.argv[1])
CARGO = ["cargo", "bench", "--quiet", "--locked", "--no-default-features", "--bench", "cookie"]
CRITERION = ["--", "--quiet", "--warm-up-time", "0.5", "--measurement-time", "1", "--exact"]

app = Flask(__name__)
app.secret_key = "0123456789abcdef0123456789abcdef"
serializer = SecureCookieSessionInterface().get_signing_serializer(app)

# benches/cookie.rs has the same two.
SESSIONS = {
    "cookie": {
        "_permanent": True,
        "user": "gkf",
        "csrf_token": "0123456789abcdef0123456789abcdef01234567",
        "_flashes": [("message", "Saved")],
        "n": 41,
    },
    "sign_in": {"_permanent": True, "user": "gkf"},
}
WORDS = {
    "cookie/loads": "verify and decode a typical cookie",
    "cookie/dumps": "encode and sign a typical cookie",
    "sign_in/loads": "verify and decode a short cookie",
    "sign_in/dumps": "encode and sign a short cookie",
    "record/loads": "decode a MessagePack record",
    "record/dumps": "encode a MessagePack record",
    "id/new": "make a session id",
    "id/store_key": "hash a session id",
}


def in_flask(session):
    """Reading and writing one session, by their names."""
    cookie = serializer.dumps(session)
    assert serializer.loads(cookie, max_age=MAX_AGE) == session
    return {
        "loads": lambda: serializer.loads(cookie, max_age=MAX_AGE),
        "dumps": lambda: serializer.dumps(session),
    }


FLASK = {
    f"{name}/{verb}": work
    for name, session in SESSIONS.items()
    for verb, work in in_flask(session).items()
}


def flask(work):
    """Nanoseconds of one call: the median of five runs of a thousand."""
    return statistics.median(timeit.repeat(work, number=1000, repeat=5)) * 1e6


def dewar(name):
    """Nanoseconds of one call, as criterion estimates their median."""
    bench = subprocess.run(CARGO + CRITERION + [name], capture_output=True, text=True)
    if bench.returncode != 0:
        sys.exit(bench.stderr)
    home = pathlib.Path(os.environ["CRITERION_HOME"])
    estimates = (home / name.replace("/", "_") / "new/estimates.json").read_text()
    return json.loads(estimates)["median"]["point_estimate"]


def cell(times):
    return f"{median(times):.2f} ({min(times) / 1000:.2f} to {max(times) / 1000:.2f})"


def median(times):
    return statistics.median(times) / 1000


here = {name: [] for name in WORDS}
there = {name: [] for name in FLASK}
for turn in range(ROUNDS):
    print(f"round {turn + 1} of {ROUNDS}", file=sys.stderr)
    for name, times in here.items():
        times.append(dewar(name))
        if name in there:
            there[name].append(flask(FLASK[name]))

rustc = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout
print(f"Medians of {ROUNDS} rounds in µs, with the least and the most.")
print(f"{' '.join(rustc.split()[:2])}; Python {platform.python_version()}, ", end="")
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in ["Flask", "itsdangerous"]))
print("\n| | Dewar | Flask | times as fast |\n|---|---|---|---|")
for name, words in WORDS.items():
    flask_cell, ratio = "", ""
    if name in there:
        ratios = [theirs / ours for theirs, ours in zip(there[name], here[name])]
        flask_cell = cell(there[name])
        ratio = f"{statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"
    print(f"| {words} | {cell(here[name])} | {flask_cell} | {ratio} |")
