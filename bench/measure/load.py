"""Runs the load generator."""

import json
import subprocess

from place import BUILT, LOAD_CORE, pinned
from systems import PASSWORD, USER

PAGE = ["--marker", 'title="gkf"', "--marker", ">maidservant<"]
LOGIN = f"username={USER}&password={PASSWORD.replace(' ', '+')}&remember=1"


def load(server, path, *options, redis=None, tolerated=0.0):
    """What the load generator reports, and microseconds of CPU for each request. Fails when more
    than the tolerated part of the answers was not as expected; none of those is counted."""
    report = try_load(server, path, *options, redis=redis)
    if not report["requests"] or report["errors"] > tolerated * report["requests"]:
        raise SystemExit(
            f"{report['errors']} errors and {report['requests']} answers at {path} of "
            f"{server.process.args}, for one:\n{report['first_error']}\n"
            f"its log:\n{server.log.read_text()[-1000:]}"
        )
    return report


def try_load(server, path, *options, redis=None):
    """The same where errors are a result."""
    return finished(start_load(server, path, *options, redis=redis))


def start_load(server, path, *options, redis=None):
    pids = ["--pid", server.pid] + (["--pid", redis.pid] if redis else [])
    command = [BUILT / "load", f"127.0.0.1:{server.port}", path, *options, *pids]
    return subprocess.Popen(
        pinned(LOAD_CORE, command), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finished(running):
    output, problem = running.communicate()
    if running.returncode:
        raise SystemExit(problem)
    report = json.loads(output)
    requests = max(report["requests"], 1)
    # The processes that are counted have answered, and no others that listen where they should.
    if report["requests"] and not report["cpu_us"][0]:
        raise SystemExit(f"{report['requests']} answers came from another server than the measured")
    report["cpu"] = report["cpu_us"][0] / requests
    report["redis_cpu"] = report["cpu_us"][1] / requests if len(report["cpu_us"]) > 1 else None
    report["throughput"] = report["requests"] / report["seconds"]
    report["load_busy"] = report["own_cpu_us"] / 1e6 / report["seconds"]
    return report
