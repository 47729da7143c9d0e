"""The systems that are compared, and how each is started."""

import subprocess

from place import BENCH, BUILT, DEWAR, LOAD_CORE, clean_environment, fresh_directory, free_port
from place import pinned
from servers import Redis, Server, wait_for_quiet

USER, PASSWORD = "gkf", "correct horse battery staple"
KEY = "c4e1f09ab7d25386e0f1a2b3948576cd"
QUIET = {"ROCKET_LOG_LEVEL": "off", "ROCKET_PROFILE": "release", "ROCKET_ADDRESS": "127.0.0.1"}
STUDENTS = (
    "id,name,age,gender\n1,Steel Eggs,17,Unknown\n2,Iron Egg,19,male\n3,maidservant,18,female\n"
)

# Name, what the tables call it, and whether a session can be shared by several clients.
SYSTEMS = {
    "plain": "Rocket, no session, no account",
    "dewar_sqlite": "**dewar**, SQLite: session, account and students",
    "dewar_redis": "**dewar**, Redis: session there, account and students in SQLite",
    "dewar_cookie": "**dewar**, Flask's cookie; account and students in SQLite",
    "ours_sqlite": "**`dewar::session`**, SQLite",
    "ours_redis": "**`dewar::session`**, Redis",
    "ours_redis_aof": "**`dewar::session`**, Redis with append-only file",
    "ours_cookie": "**`dewar::session`**, Flask's cookie",
    "flex": "rocket_flex_session, SQLite",
    "tower": "axum + tower-sessions, SQLite",
    "actix_redis": "actix-session, Redis",
    "actix_redis_aof": "actix-session, Redis with append-only file",
    "actix_cookie": "actix-session, cookie",
    "flask_cookie": "Flask, its cookie",
    "flask_redis": "Flask-Session, Redis",
    "flask_sqlalchemy": "Flask-Session, SQLAlchemy on SQLite",
    "express": "express-session, SQLite",
}


def dewar(directory, *arguments, text=""):
    """Runs a command of dewar's in a site's directory."""
    command = [DEWAR, *arguments]
    subprocess.run(
        command,
        cwd=directory,
        env=clean_environment(),
        input=text,
        text=True,
        check=True,
        capture_output=True,
    )


def make_site(directory, settings="", students=STUDENTS):
    text = f'[default]\naddress = "127.0.0.1"\nDATABASE = "dewar.db"\n{settings}\n'
    (directory / "Rocket.toml").write_text(text)
    dewar(directory, "user", "add", USER, "--password-stdin", text=PASSWORD)
    dewar(directory, "students", "import", "-", text=students)


def serve_site(directory):
    port = free_port()
    # Its log goes to a file, as a service's does to the journal.
    environment = clean_environment(ROCKET_PORT=port)
    return Server([DEWAR], port, directory / "log", environment, cwd=directory)


class Round:
    """The servers of one round: each system twice, without and with rolling expiry, all new."""

    def __init__(self, only=None):
        self.directory = fresh_directory("round")
        self.servers = {}
        self.only = only
        self.redis = {}
        for name, persistent in [("", False), ("_aof", True)]:
            directory = self.directory / f"redis{name}"
            directory.mkdir()
            self.redis[name] = Redis(directory, persistent).wait()
        for system in SYSTEMS:
            if only and system not in only:
                continue
            for rolling in (False, True):
                if rolling and system == "plain":
                    continue
                self.servers[system, rolling] = self.start(system, rolling)
        for server in self.servers.values():
            server.wait()
        wait_for_quiet()

    def stop(self):
        for server in [*self.servers.values(), *self.redis.values()]:
            server.stop()

    def store(self, system):
        """The Redis that a system uses, if any."""
        if "redis" not in system:
            return None
        return self.redis["_aof" if system.endswith("_aof") else ""]

    def start(self, system, rolling):
        directory = self.directory / f"{system}-{'rolling' if rolling else 'still'}"
        directory.mkdir()
        family, _, store = system.removesuffix("_aof").partition("_")
        redis = self.store(system)
        start = getattr(self, family)
        return start(directory, store, redis and redis.url, rolling)

    def plain(self, directory, _store, _redis, _rolling):
        make_site(directory)
        return self.rocket("rocket_plain", directory, STUDENTS=directory / "dewar.db")

    def dewar(self, directory, store, redis, rolling):
        make_site(
            directory,
            f'SESSION_TYPE = "{store}"\nSECRET_KEY = "{KEY}"\n'
            f"SESSION_REFRESH_EACH_REQUEST = {str(rolling).lower()}\n"
            + (f'SESSION_REDIS = "{redis}"\n' if redis else ""),
        )
        return serve_site(directory)

    def ours(self, directory, store, redis, rolling):
        more = {"FLASK_SESSION_REDIS": redis} if redis else {}
        return self.rocket(
            "ours",
            directory,
            DATABASE=directory / "ours.db",
            FLASK_SESSION_TYPE=store,
            FLASK_SECRET_KEY=KEY,
            FLASK_SESSION_REFRESH_EACH_REQUEST=str(rolling).lower(),
            **more,
        )

    def flex(self, directory, _store, _redis, rolling):
        return self.rocket(
            "rocket_flex",
            directory,
            DATABASE=directory / "flex.db",
            ROLLING=int(rolling),
            # 32 random bytes; what is measured keeps no secret.
            ROCKET_SECRET_KEY="MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        )

    def tower(self, directory, _store, _redis, rolling):
        return self.with_port(
            "tower", directory, DATABASE=directory / "tower.db", ROLLING=int(rolling)
        )

    def actix(self, directory, store, redis, rolling):
        return self.with_port(
            "actix", directory, STORE=store, REDIS=redis or "", ROLLING=int(rolling)
        )

    def flask(self, directory, store, redis, rolling):
        port = free_port()
        environment = clean_environment(
            STORE=store, REDIS=redis or "", DATABASE=directory / "flask.db", ROLLING=int(rolling)
        )
        # As its documentation recommends for one processor, with threads that keep connections.
        gunicorn = [BENCH / "target/flask/bin/gunicorn", "--no-control-socket"]
        size = ["--workers", 3, "--threads", 4, "--keep-alive", 75]
        command = [*gunicorn, *size, "--bind", f"127.0.0.1:{port}", "app:app"]
        app = BENCH / "peers/flask_app"
        if store == "sqlalchemy":
            # The table is made by the first process alone.
            subprocess.run(
                pinned(LOAD_CORE, [BENCH / "target/flask/bin/python", "-c", "import app"]),
                cwd=app,
                env=environment,
                check=True,
            )
        return Server(command, port, directory / "log", environment, cwd=app)

    def express(self, directory, _store, _redis, rolling):
        port = free_port()
        environment = clean_environment(
            DATABASE=directory / "express.db",
            PORT=port,
            ROLLING=int(rolling),
            NODE_ENV="production",
        )
        app = BENCH / "peers/express/app.js"
        return Server(["node", app], port, directory / "log", environment)

    def rocket(self, program, directory, **settings):
        port = free_port()
        environment = clean_environment(ROCKET_PORT=port, **QUIET, **settings)
        return Server([BUILT / program], port, directory / "log", environment, cwd=directory)

    def with_port(self, program, directory, **settings):
        port = free_port()
        environment = clean_environment(PORT=port, **settings)
        return Server([BUILT / program], port, directory / "log", environment, cwd=directory)
