"""Many sessions, many students, starting and memory: all on the `dewar` binary with SQLite."""

import contextlib
import http.client
import random
import sqlite3
import subprocess
import time

from load import LOGIN, PAGE, finished, load, start_load
from place import BUILT, LOAD_CORE, fresh_directory, pinned
from systems import make_site, serve_site

PATH = "/brief_introduction"


def filled_site(name, live, expired=0):
    """A site with so many sessions, and the bytes that one takes in the file."""
    directory = fresh_directory(name)
    make_site(directory)
    database = directory / "dewar.db"
    before = database.stat().st_size
    command = [BUILT / "ours", "fill", database, live, expired, directory / "cookies"]
    subprocess.run(pinned(LOAD_CORE, command), check=True)
    return directory, (database.stat().st_size - before) / (live + expired)


def sessions(few, many, rounds, span):
    """The page with few sessions and with many, by turns."""
    sites = {count: filled_site(f"sessions-{count}", count) for count in (few, many)}
    servers = {count: serve_site(directory).wait() for count, (directory, _) in sites.items()}
    measured = {count: [] for count in sites}
    memory = {}
    for turn in range(-1, rounds):
        for count, server in servers.items():
            cookies = ["--cookies", sites[count][0] / "cookies", *PAGE]
            report = load(server, PATH, *cookies, "--seconds", span, "--warm-up", 0.2)
            # The first turn reads the file into memory.
            if turn >= 0:
                measured[count].append({key: report[key] for key in ("p50_us", "p99_us", "cpu")})
            memory[count] = server.memory()
    for server in servers.values():
        server.stop()
    return {
        "few": few,
        "many": many,
        "rounds": [
            {"few": a, "many": b} for a, b in zip(measured[few], measured[many], strict=True)
        ],
        "memory_few": memory[few],
        "memory_many": memory[many],
        "bytes_per_session": sites[many][1],
    }


def starting(count, starts):
    """Milliseconds from the start of the program to the first page for somebody signed in, and
    memory before anything else and after load."""
    directory, _ = filled_site(f"start-{count}", count)
    cookies = (directory / "cookies").read_text().split()
    times, idle, loaded = [], {}, {}
    for _ in range(starts):
        began = time.perf_counter()
        server = serve_site(directory)
        first_page(server.port, random.choice(cookies))
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(1.0)
        idle = server.memory()
        if len(times) == starts:
            load(server, PATH, "--cookies", directory / "cookies", *PAGE)
            loaded = server.memory()
        server.stop()
    return {"sessions": count, "milliseconds": times, "idle": idle, "loaded": loaded}


def first_page(port, cookie):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", PATH, headers={"Cookie": cookie})
            answer = connection.getresponse()
            if answer.status != 200 or b"maidservant" not in answer.read():
                raise SystemExit(f"the first answer was {answer.status}")
            return
        time.sleep(0.0002)
    raise SystemExit("dewar does not answer")


def sweep(expired, seconds):
    """The page while expired sessions are deleted, which begins a minute after the start."""
    directory, _ = filled_site("sweep", 1000, expired)
    server = serve_site(directory).wait()
    cookies = ["--cookies", directory / "cookies", *PAGE]
    running = start_load(server, PATH, *cookies, "--seconds", seconds, "--every", 1)
    oldest, progress = oldest_row(directory), []
    while running.poll() is None:
        time.sleep(0.5)
        now = oldest_row(directory)
        if now != oldest:
            progress.append(time.time())
            oldest = now
    report = finished(running)
    server.stop()
    if report["errors"] or not progress:
        raise SystemExit(f"{report['errors']} errors, {len(progress)} steps of the sweep seen")
    # The first seconds warm up. Each span is a second, and one of the sweep when that ran in it.
    spans = report["spans"][2:]
    began, ended = progress[0] - 0.5, progress[-1]
    before = [span["p99_us"] for span in spans if span["at"] < began]
    during = [span["p99_us"] for span in spans if began <= span["at"] <= ended + 1]
    return {
        "expired": expired,
        "left": left(directory),
        "seconds": ended - began,
        "p99_before_us": before,
        "p99_during_us": during,
    }


def oldest_row(directory):
    with contextlib.closing(sqlite3.connect(directory / "dewar.db")) as database:
        return database.execute("SELECT min(expires) FROM sessions").fetchone()


def left(directory):
    with contextlib.closing(sqlite3.connect(directory / "dewar.db")) as database:
        return database.execute(
            "SELECT count(*) FROM sessions WHERE expires < ?", (int(time.time() * 1000),)
        ).fetchone()[0]


def students(count, rate, span):
    """Latencies with many students, at a rate that leaves the server idle most of the time."""
    generator = random.Random(1)
    syllables = "ka to mi ra len dor sha vel ari bo nu fen gil os ter wyn jo mar".split()

    def name():
        return "".join(generator.choices(syllables, k=3)).title()

    rows = [f"{id},{name()} {name()},{generator.randint(15, 25)}," for id in range(1, count + 1)]
    directory = fresh_directory("students")
    make_site(directory, students="\n".join(["id,name,age,gender", *rows]) + "\n")
    names = [row.split(",")[1] for row in generator.sample(rows, min(count, 2000))]
    server = serve_site(directory).wait()
    # More than Dewar keeps of the lists that it has rendered, each asked for once in a long while.
    turns = range(400)
    parts = lambda length: sorted({name[1 : 1 + length].replace(" ", "%20") for name in names})
    shuffled = lambda paths: generator.sample(paths, len(paths))
    results = {}
    for what, paths, marker in [
        ("list, first page", [PATH], f"{count} students"),
        (
            "list, any page",
            [f"{PATH}?page={generator.randint(1, count // 50)}" for _ in turns],
            f"{count} students",
        ),
        (
            "search, a whole name",
            [f"{PATH}?q={name.replace(' ', '%20')}" for name in names],
            "for “",
        ),
        (
            "search, three letters",
            shuffled([f"{PATH}?q={q}&page={page}" for q in parts(3) for page in (1, 2)]),
            "matches for “",
        ),
        (
            "search, two letters",
            shuffled([f"{PATH}?q={q}&page={page}" for q in parts(2) for page in range(1, 9)]),
            "matches for “",
        ),
        ("details", [f"/detailed?id={generator.randint(1, count)}" for _ in turns], "<dt>Name"),
    ]:
        listed = directory / "paths"
        listed.write_text("\n".join(paths) + "\n")
        path = paths[0]
        options = ["--open", "/login", "--form", LOGIN, "--marker", marker, "--paths", listed]
        times = ["--rate", rate, "--seconds", span, "--warm-up", 0.5]
        report = load(server, path, *options, *times)
        results[what] = {key: report[key] for key in ("p50_us", "p99_us", "max_us", "cpu")}
    memory = server.memory()
    server.stop()
    return {"students": count, "rate": rate, "pages": results, "memory": memory}
