"""Writes the tables."""

import statistics

import targets
from systems import SYSTEMS

BEGIN, END = "<!-- bench/run writes from here -->", "<!-- to here -->"

LIMITS = """\
What this does not show:

- Requests over a network, TLS, HTTP/2, or a proxy in front: all goes over the loopback interface.
- More than one processor for the server. Who waits for whom there is another question.
- The memory caches of a busy machine, and disks that take longer to commit than this one.
- Redis's own processor time, which is told beside the server's and not in it.
- Real pages: three students, and sessions of a few dozen bytes.
- p50 and p99 are those of 32 clients that ask again at once, so most of each is waiting for the
  others; with students they are those of a rate that leaves the server idle most of the time.
"""


def render(results):
    parts = [machine(results)]
    if not results["only"]:
        parts += ["### The targets\n", target_table(results)]
    parts += [
        "### The same page everywhere\n",
        PAGES,
        page_table(results),
        throughput_table(results),
    ]
    parts += ["### Eight clients, one session\n", increment_table(results)]
    if not results["only"]:
        parts += [
            "### The rest of the pages\n",
            other_table(results),
            "### Scale\n",
            scale_list(results),
        ]
    return "\n".join([*parts, LIMITS])


PAGES = """\
CPU microseconds of the server's processes for each request (user and system, all its children);
behind the semicolon Redis's own. The page is Dewar's list of three students, from one template,
rendered by MiniJinja (Rust), Jinja2 (Flask) and nunjucks (express). SQLite is in WAL mode
everywhere, with `synchronous = FULL` in Dewar (an answered write survives a loss of power) and
`NORMAL` in all others (it may not). Rust is built with `opt-level = 3` and no LTO, but for the
`dewar` binary, which is the released one.
"""


def machine(results):
    facts, size = results["facts"], results["size"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return f"""\
Measured {facts["date"]} on {facts["processor"]}, {facts["processors"]} processors (virtual machine:
{facts["virtual"]}), {facts["memory_gb"]} GB, Linux {facts["kernel"]}, {facts["system"]},
{facts["disk"]} with {facts["fsync_us"]} µs for a durable write; load average before the start
{facts["load_average"]:.1f}. {facts["dewar"]} at {facts["commit"]}. {versions}.

The server runs on one processor, the load generator (and Redis) on another; 32 keep-alive
connections, each with a session of its own. Rounds: {size["rounds"]}, in each of which all servers
are new and every cell is measured for {size["span"]:g} s, every other round in the reverse order.
Cells are medians over the rounds with the least and the most; ratios are formed within a round.
Each answer is checked for its status and for what the page must hold. {wrong_answers(results)} The
load generator was busy {busiest(results):.0%} of the time at most.
"""


def wrong_answers(results):
    wrong = [
        f"{cell['errors']} of {SYSTEMS[system]}, {page}"
        for one in results["rounds"]
        for system, pages in one.items()
        for page, cell in pages.items()
        if cell.get("errors")
    ]
    return f"Wrong, and not counted, were {'; '.join(wrong)}." if wrong else "None was wrong."


def busiest(results):
    """The largest part of its processor's time that the load generator took."""
    cells = [
        cell for one in results["rounds"] for system in one.values() for cell in system.values()
    ]
    return max(cell["load_busy"] for cell in cells if "load_busy" in cell)


def spread(values, unit="", digits=None):
    """The median with the least and the most, by default in three digits."""
    values = list(values)
    median = statistics.median(values)
    if digits is None:
        digits = next((digits for digits, least in enumerate([100, 10, 0.1]) if median >= least), 3)
    if len(values) == 1:
        return f"{median:.{digits}f}{unit}"
    return f"{median:.{digits}f}{unit} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def target_table(results):
    rows = []
    for number, what, limit, values, unit, met in targets.rows(results):
        verdict = "–" if met is None else "met" if met else "**not met**"
        rows.append([str(number), what, spread(values, unit), limit, verdict])
    return table(["", "target", "measured", "limit", ""], rows)


def across(results, system, page, field="cpu"):
    return [one[system][page][field] for one in results["rounds"] if page in one.get(system, {})]


def page_table(results):
    rows = []
    for system, label in SYSTEMS.items():
        row = [label]
        for page in ("page", "rolling", "write"):
            values = across(results, system, page)
            redis = [
                value for value in across(results, system, page, "redis_cpu") if value is not None
            ]
            behind = f"; {statistics.median(redis):.1f}" if redis else ""
            row.append(spread(values, digits=1) + behind if values else "–")
        if any(cell != "–" for cell in row[1:]):
            rows.append(row)
        if system == "plain" and rows:
            more = [
                ("students", "Rocket, the same with the students from SQLite"),
                ("kept", "Rocket, the same with the list rendered once for each state"),
                ("text", "Rocket, a page as plain text"),
            ]
            for page, name in more:
                rows.append([name, spread(across(results, system, page), digits=1), "–", "–"])
        if system == "ours_sqlite" and rows:
            cell = spread(across(results, system, "account"), digits=1)
            rows.append([f"{label}, account looked up", cell, "–", "–"])
    return table(
        ["µs of CPU a request", "authenticated page", "rolling expiry", "a write each request"],
        rows,
    )


def throughput_table(results):
    rows = []
    for system, label in SYSTEMS.items():
        row = [label]
        for page in ("page", "write"):
            for field, digits in [("throughput", 0), ("p50_us", 0), ("p99_us", 0)]:
                values = across(results, system, page, field)
                row.append(f"{statistics.median(values):,.{digits}f}" if values else "–")
        if any(cell != "–" for cell in row[1:]):
            rows.append(row)
    return table(
        ["median", "page: a second", "p50 µs", "p99 µs", "write: a second", "p50 µs", "p99 µs"],
        rows,
    )


def increment_table(results):
    rows = []
    for system, one in results["increments"].items():
        lost = one["acknowledged"] - one["counted"]
        rows.append(
            [
                SYSTEMS[system],
                f"{one['asked']:,}",
                f"{one['errors']:,}",
                f"{one['acknowledged']:,}",
                f"{one['counted']:,}",
                f"{lost:,} ({100 * lost / max(one['acknowledged'], 1):.1f} %)",
                f"{one['cpu']:.0f}",
            ]
        )
    heads = ["", "increments", "refused", "acknowledged", "counted", "lost", "µs of CPU each"]
    return table(heads, rows)


OTHER = [
    ("dewar_sqlite", "redirect", "dewar: not signed in, redirect"),
    ("plain", "redirect", "Rocket: redirect"),
    ("dewar_sqlite", "embedded", "dewar: static file"),
    ("plain", "embedded", "Rocket: static file from memory"),
    ("plain", "file", "Rocket: static file, FileServer"),
    ("ours_sqlite", "without", "`dewar::session`: page without the session"),
    ("plain", "page", "Rocket: the same page"),
    ("ours_sqlite", "account", "`dewar::session`: page, account read on the worker"),
    ("ours_sqlite", "hop", "…account read on a thread that may wait"),
    ("ours_sqlite", "write", "`dewar::session`: a write each request, 32 clients"),
    ("ours_sqlite", "alone", "…1 client, so that each waits for a commit of its own"),
    ("ours_sqlite", "create", "`dewar::session`: a new session"),
    ("ours_sqlite", "nothing", "`dewar::session`: the same text without one"),
    ("dewar_sqlite", "sign_in", "dewar: sign-in"),
    ("dewar_sqlite", "hash", "its password hash alone"),
]


def other_table(results):
    rows = [
        [label, spread(across(results, system, page), digits=1)] for system, page, label in OTHER
    ]
    return table(["", "µs of CPU a request"], rows)


def scale_list(results):
    sessions, starting = results["sessions"], results["starting"]
    students, sweep = results["students"], results["sweep"]
    few, many = ([one[key] for one in sessions["rounds"]] for key in ("few", "many"))
    rows = [
        [
            f"{sessions[key]:,}",
            spread(one["p50_us"] for one in values),
            spread(one["p99_us"] for one in values),
            spread(one["cpu"] for one in values),
            f"{sessions[f'memory_{key}']['resident_mb']} ({sessions[f'memory_{key}']['anonymous_mb']})",
        ]
        for key, values in [("few", few), ("many", many)]
    ]
    heads = [
        "sessions in the file",
        "page p50 µs",
        "p99 µs",
        "CPU µs",
        "memory after it, MB (its own)",
    ]
    pages = [
        [
            what,
            f"{page['p50_us'] / 1000:.2f}",
            f"{page['p99_us'] / 1000:.2f}",
            f"{page['cpu'] / 1000:.2f}",
        ]
        for what, page in students["pages"].items()
    ]
    heads2 = [
        f"{students['students']:,} students, {students['rate']} requests a second",
        "p50 ms",
        "p99 ms",
        "CPU ms",
    ]
    text = f"""\
A session takes {sessions["bytes_per_session"]:.0f} bytes of the file, its sign-in and the indices included. From the start
of the program to the first page for somebody signed in, with {starting["sessions"]:,} sessions in the
file, it takes {spread(starting["milliseconds"], " ms")}; memory then is
{starting["idle"]["resident_mb"]} MB ({starting["idle"]["anonymous_mb"]} its own).

Of {sweep["expired"]:,} expired sessions, a sweep under full load removed {sweep["expired"] - sweep["left"]:,}
in {sweep["seconds"]:.0f} s; p99 of the page, second by second, before it
{spread(sweep["p99_before_us"], " µs")}, during it {spread(sweep["p99_during_us"], " µs")}.
"""
    return "\n".join([table(heads, rows), text, table(heads2, pages)])


def put_into(document, text):
    old = document.read_text()
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{document} has no place for the tables: {BEGIN} … {END}")
    document.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
