"""What is measured in each round, in the order in which it is compared."""

import subprocess

from load import LOGIN, PAGE, load
from place import BUILT, SERVER_CORE, pinned
from systems import SYSTEMS

SIGN_IN = ["--open", "/sign-in"]
DEWAR_SIGN_IN = ["--open", "/login", "--form", LOGIN]
REDIRECT = ["--status", 303, "--marker", "/login?next="]


def pages(system):
    """Its cells: name, path, options, and whether rolling expiry is on."""
    family = system.split("_")[0]
    if family == "plain":
        return [
            ("page", "/page", PAGE, False),
            ("students", "/students", PAGE, False),
            ("kept", "/kept", PAGE, False),
            ("text", "/text", ["--marker", "Students"], False),
            ("redirect", "/redirect", REDIRECT, False),
            ("file", "/static/style.css", ["--marker", "--accent-on"], False),
            ("embedded", "/embedded/style.css", ["--marker", "--accent-on"], False),
        ]
    if family == "dewar":
        path = "/brief_introduction"
        cells = [
            ("page", path, [*DEWAR_SIGN_IN, *PAGE], False),
            ("rolling", path, [*DEWAR_SIGN_IN, *PAGE], True),
        ]
        if system == "dewar_sqlite":
            cells += [
                ("redirect", path, REDIRECT, True),
                ("embedded", "/static/style.css", ["--marker", "--accent-on"], True),
                ("sign_in", "/login", ["--form", LOGIN, "--forget", "yes", "--status", 303], True),
            ]
        return cells
    write = ("write", "/write", [*SIGN_IN, *PAGE], False)
    if system.endswith("_aof"):
        return [write]
    cells = [
        ("page", "/page", [*SIGN_IN, *PAGE], False),
        ("rolling", "/page", [*SIGN_IN, *PAGE], True),
        write,
    ]
    if system == "ours_sqlite":
        create = ["--forget", "yes", "--marker", "signed in"]
        cells += [
            ("account", "/account", [*SIGN_IN, *PAGE], False),
            ("hop", "/hop", [*SIGN_IN, *PAGE], False),
            ("alone", "/write", [*SIGN_IN, *PAGE, "--connections", 1], False),
            ("without", "/without", PAGE, True),
            ("create", "/sign-in", create, True),
            ("nothing", "/text", ["--marker", "signed in"], True),
        ]
    return cells


def measure(servers, span, backwards):
    """One round: {system: {cell: report}}."""
    results = {}
    order = [system for system in SYSTEMS if (system, False) in servers.servers]
    for system in reversed(order) if backwards else order:
        results[system] = {}
        for name, path, options, rolling in pages(system):
            server = servers.servers[system, rolling]
            times = ["--seconds", span, "--warm-up", min(0.4, span / 2)]
            # Peers may fail now and then, which the tables tell.
            tolerated = 0.0 if system.startswith(("plain", "dewar", "ours")) else 0.01
            redis = servers.store(system)
            report = load(server, path, *options, *times, redis=redis, tolerated=tolerated)
            del report["spans"], report["cookie"]
            results[system][name] = report
        if system == "dewar_sqlite":
            results[system]["hash"] = {"cpu": hashing(max(int(span * 20), 3))}
    return results


def hashing(count):
    """CPU microseconds of one password check, and nothing else."""
    command = pinned(SERVER_CORE, [BUILT / "ours", "hash", count])
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
