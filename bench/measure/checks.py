"""What is counted and not timed."""

from load import PAGE, load, try_load
from systems import SYSTEMS

CLIENTS = 8


def lost_updates(servers, increments, note):
    """Eight clients add one to a number in the same session: what was acknowledged and what the
    session holds in the end."""
    results = {}
    for system in SYSTEMS:
        if (system, False) not in servers.servers or system.startswith(("plain", "dewar")):
            continue
        if system.endswith(("_cookie", "_aof")):
            continue
        note(system)
        server = servers.servers[system, False]
        options = ["--connections", CLIENTS, "--requests", increments, "--marker", "n="]
        report = try_load(server, "/increment", "--open", "/sign-in", "--share", "yes", *options)
        status, body = server.get("/count", report["cookie"])
        if status != 200:
            raise SystemExit(f"{system}: {status} {body}")
        results[system] = {
            "asked": CLIENTS * increments,
            "acknowledged": report["requests"],
            "errors": report["errors"],
            "first_error": report["first_error"],
            "counted": int(body.removeprefix("n=")),
            "cpu": report["cpu"],
        }
    return results


def round_trips(servers):
    """How often Redis reads from a connection for each page of one visitor."""
    results = {}
    for system, path, open_ in [
        ("ours_redis", "/page", ["--open", "/sign-in", *PAGE]),
        ("ours_redis", "/without", PAGE),
        ("actix_redis", "/page", ["--open", "/sign-in", *PAGE]),
    ]:
        server, redis = servers.servers[system, False], servers.store(system)
        load(server, path, *open_, "--connections", 1, "--requests", 10)
        before = redis.reads()
        load(server, path, "--connections", 1, "--requests", 1000, *open_)
        # The question itself is one, and signing in takes a few.
        results[f"{system} {path}"] = round((redis.reads() - before - 1) / 1000, 2)
    return results
