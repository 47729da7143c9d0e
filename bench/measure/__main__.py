"""Measures everything by turns and writes target/bench/results.json and the tables.

`bench/run` prepares what this needs and runs it.
"""

import argparse
import dataclasses
import datetime
import json
import shutil
import sys
import time

import cells
import checks
import facts
import report
import scale
from place import DOCUMENT, LOAD_CORE, OUT, SERVER_CORE, WORK
from systems import Round


@dataclasses.dataclass
class Size:
    """How much of everything."""

    rounds: int
    span: float
    increments: int
    sessions: int
    scale_rounds: int
    starts: int
    expired: int
    sweep_seconds: int
    students: int


FULL = Size(7, 2.0, 2000, 10_000_000, 5, 9, 1_000_000, 240, 100_000)
QUICK = Size(2, 0.8, 250, 1_000_000, 3, 5, 200_000, 90, 100_000)
SMOKE = Size(1, 0.1, 20, 20_000, 1, 1, 2_000, 68, 2_000)

began = time.monotonic()


def note(text):
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    print(f"{minutes:3}:{seconds:02} {text}", file=sys.stderr, flush=True)


def measure(size, only, file):
    results = {
        "only": only,
        "size": dataclasses.asdict(size),
        "facts": facts.gather(),
        "rounds": [],
    }

    def save():
        file.write_text(json.dumps(results, indent=1))

    for turn in range(size.rounds):
        note(f"round {turn + 1} of {size.rounds}")
        servers = Round(only)
        try:
            results["rounds"].append(cells.measure(servers, size.span, turn % 2 == 1))
            if turn == 0:
                note("counting round trips and lost updates")
                if not only:
                    results["round_trips"] = checks.round_trips(servers)
                results["increments"] = checks.lost_updates(servers, size.increments, note)
        finally:
            servers.stop()
            save()
    for name, part in at_scale(size) if not only else []:
        results[name] = part
        save()
    results["facts"]["date"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    results["facts"]["minutes"] = round((time.monotonic() - began) / 60)
    save()


def at_scale(size):
    note(f"{size.sessions:,} sessions")
    yield "sessions", scale.sessions(1000, size.sessions, size.scale_rounds, size.span)
    note("starting")
    yield "starting", scale.starting(min(size.sessions, 1_000_000), size.starts)
    note(f"{size.students:,} students")
    yield "students", scale.students(size.students, 100, 2 * size.span)
    note(f"a sweep of {size.expired:,} expired sessions, {size.sweep_seconds} s")
    yield "sweep", scale.sweep(size.expired, size.sweep_seconds)


def main():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__.splitlines()[0])
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="coarser, six minutes, writes no docs")
    kind.add_argument(
        "--smoke", action="store_true", help="see that all of it runs; measures nothing"
    )
    kind.add_argument(
        "--report", action="store_true", help="write the tables of the last full run anew"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="SYSTEM", help="these systems alone, in one table"
    )
    options = parser.parse_args()
    if SERVER_CORE == LOAD_CORE:
        raise SystemExit("needs two processors: one for the server, one for the load")
    OUT.mkdir(parents=True, exist_ok=True)
    WORK.mkdir(exist_ok=True)
    name, size = "results", FULL
    if options.quick or options.smoke or options.only:
        name, size = ("quick", QUICK) if options.quick else ("smoke", SMOKE)
        if options.only and not options.smoke:
            name, size = "only", QUICK if options.quick else FULL
    file = OUT / f"{name}.json"
    if not options.report:
        measure(size, options.only, file)
        shutil.rmtree(WORK)
    text = report.render(json.loads(file.read_text()))
    if size is FULL and not options.only:
        report.put_into(DOCUMENT, text)
        note(f"wrote {file} and {DOCUMENT}")
    else:
        tables = file.with_suffix(".md")
        tables.write_text(text)
        print(text)
        note(f"wrote {file} and {tables}")


main()
