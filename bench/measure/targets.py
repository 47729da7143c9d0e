"""The project's targets, each a ratio within one round, and whether they are met."""

import statistics

# Systems whose p99 is compared: Rust, with sessions in a store.
RUST_STORES = ["flex", "tower", "actix_redis"]


def rows(results):
    """(number, what, limit in words, measured values, whether the median meets it or `None`)."""
    rounds = results["rounds"]

    def cell(one, name, field="cpu"):
        system, page = name.split("/")
        return one[system][page][field]

    def ratio(number, what, ours, theirs, most, field="cpu"):
        values = [cell(one, ours, field) / cell(one, theirs, field) for one in rounds]
        return at_most(number, what, values, most)

    yield ratio(
        1,
        "dewar: page with session and account ÷ Rocket: the same page without",
        "dewar_sqlite/page",
        "plain/students",
        1.2,
    )
    yield ratio(
        1,
        "the same ÷ Rocket: the same page without, the list kept as Dewar keeps it",
        "dewar_sqlite/page",
        "plain/kept",
        1.2,
    )
    yield ratio(
        1,
        "`dewar::session` with an account looked up ÷ Rocket: the same page without",
        "ours_sqlite/account",
        "plain/page",
        1.2,
    )
    peers = [
        ("flex", "rocket_flex_session", 0.45),
        ("tower", "tower-sessions", 0.5),
        ("actix_redis", "actix-session on Redis", 1.0),
        ("flask_cookie", "Flask's cookie", 0.07),
    ]
    for peer, name, most in peers:
        yield ratio(1, f"dewar ÷ {name}", "dewar_sqlite/page", f"{peer}/page", most)
        yield ratio(
            1,
            f"`dewar::session` with account ÷ {name}",
            "ours_sqlite/account",
            f"{peer}/page",
            most,
        )
    for ours, name in [
        ("dewar_sqlite/page", "dewar"),
        ("ours_sqlite/account", "`dewar::session` with account"),
    ]:
        values = [
            cell(one, ours, "p99_us") / min(one[peer]["page"]["p99_us"] for peer in RUST_STORES)
            for one in rounds
        ]
        yield at_most(1, f"p99 of {name} ÷ p99 of the best Rust peer with a store", values, 1.0)

    yield ratio(
        2, "dewar: rolling ÷ not rolling", "dewar_sqlite/rolling", "dewar_sqlite/page", 1.05
    )
    yield ratio(
        2,
        "`dewar::session`: rolling ÷ not rolling",
        "ours_sqlite/rolling",
        "ours_sqlite/page",
        1.05,
    )

    for peer, name in [("flex", "rocket_flex_session"), ("tower", "tower-sessions")]:
        yield ratio(
            3,
            f"a write each request, FULL ÷ {name}, NORMAL",
            "ours_sqlite/write",
            f"{peer}/write",
            0.35,
        )
        values = [
            cell(one, "ours_sqlite/write", "throughput") / cell(one, f"{peer}/write", "throughput")
            for one in rounds
        ]
        yield at_least(3, f"throughput of the same ÷ {name}", values, 2.0)
    increments = results["increments"]["ours_sqlite"]
    lost = increments["asked"] - increments["counted"]
    yield at_most(3, f"increments lost, of {increments['asked']}", [lost], 0, "")

    yield ratio(
        4, "sign-in ÷ the password hash alone", "dewar_sqlite/sign_in", "dewar_sqlite/hash", 1.1
    )
    values = [cell(one, "ours_sqlite/create") - cell(one, "ours_sqlite/nothing") for one in rounds]
    yield at_most(4, "a new session: µs more than a page without one", values, 60, " µs")

    yield ratio(
        5,
        "not signed in: dewar's redirect ÷ Rocket's",
        "dewar_sqlite/redirect",
        "plain/redirect",
        1.05,
    )
    yield ratio(
        5,
        "static file: dewar ÷ Rocket, from memory",
        "dewar_sqlite/embedded",
        "plain/embedded",
        1.02,
    )
    yield ratio(
        5, "static file: dewar ÷ Rocket's FileServer", "dewar_sqlite/embedded", "plain/file", 1.02
    )
    yield ratio(
        5,
        "a page without the session ÷ Rocket without the layer",
        "ours_sqlite/without",
        "plain/page",
        1.02,
    )

    if "sessions" in results:
        yield from scale(results)
    if "round_trips" in results:
        trips = results["round_trips"]
        yield at_most(7, "round trips to Redis for a page", [trips["ours_redis /page"]], 1.02, "")
        yield at_most(
            7, "…for a page without the session", [trips["ours_redis /without"]], 0.01, ""
        )
    yield ratio(
        7, "Redis: `dewar::session` ÷ actix-session", "ours_redis/page", "actix_redis/page", 0.9
    )
    yield ratio(
        7,
        "cookie: `dewar::session`, Flask's ÷ actix-session",
        "ours_cookie/page",
        "actix_cookie/page",
        1.3,
    )
    if "starting" in results:
        starting = results["starting"]
        yield at_most(8, "memory, idle", [starting["idle"]["resident_mb"]], 15, " MB")
        after = results["sessions"]["memory_many"]["resident_mb"]
        yield at_most(8, "memory after load", [after], 40, " MB")
        yield at_most(
            8,
            f"first page after the start, {starting['sessions']:,} sessions",
            starting["milliseconds"],
            50,
            " ms",
        )
    values = [cell(one, "plain/page") - cell(one, "plain/text") for one in rounds]
    yield (
        9,
        "rendering the list: µs of CPU in Rocket with MiniJinja",
        "no number set",
        values,
        " µs",
        None,
    )
    values = [cell(one, "dewar_sqlite/page") - cell(one, "plain/students") for one in rounds]
    yield (
        9,
        "dewar's page: µs more than that of Rocket without session and account",
        "no number set",
        values,
        " µs",
        None,
    )


def scale(results):
    sessions = results["sessions"]
    few, many = sessions["few"], sessions["many"]
    for field, most in [("p50_us", 1.3), ("p99_us", 2.0)]:
        values = [one["many"][field] / one["few"][field] for one in sessions["rounds"]]
        yield at_most(6, f"{field[:3]} of the page: {many:,} sessions ÷ {few:,}", values, most)
    sweep = results["sweep"]
    before = statistics.median(sweep["p99_before_us"])
    values = [p99 / before for p99 in sweep["p99_during_us"]]
    yield at_most(
        6,
        f"p99 of the page: each second of a sweep of {sweep['expired']:,} ÷ before it",
        values,
        2.0,
    )
    # With few sessions the whole file fits in the caches, so that is no comparison.
    starting = results["starting"]
    if starting["sessions"] != many:
        memory = sessions["memory_many"]["anonymous_mb"] / starting["loaded"]["anonymous_mb"]
        what = f"memory of its own after load: {many:,} sessions ÷ {starting['sessions']:,}"
        yield at_most(6, what, [memory], 1.1)
    students = results["students"]
    for what, page in students["pages"].items():
        yield at_most(
            6, f"{students['students']:,} students: p99, {what}", [page["p99_us"] / 1000], 5, " ms"
        )


def at_most(number, what, values, most, unit=""):
    return number, what, f"≤ {most:g}{unit}", values, unit, statistics.median(values) <= most


def at_least(number, what, values, least, unit=""):
    return number, what, f"≥ {least:g}{unit}", values, unit, statistics.median(values) >= least
