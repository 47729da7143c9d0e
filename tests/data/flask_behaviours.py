"""One request each through the real Flask and Flask-Session: a script run in the view, and what the
answer and the store then hold. Imported by make_flask_vectors.py."""

import base64
import datetime as dt
from itertools import product
from unittest import mock

import msgspec
from flask import Flask, flash, get_flashed_messages, session
from flask_session.base import ServerSideSession, ServerSideSessionInterface
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

LIFETIME = 31 * 24 * 3600

SESSIONS_BEFORE = [
    None,
    {"a": 1},
    {"a": 1, "l": [1]},
    {"_permanent": True, "a": 1, "l": [1]},
]

SCRIPTS = [
    [],
    [["get", "a"]],
    [["contains", "a"]],
    [["len"]],
    [["bool"]],
    [["read_permanent"]],
    [["set", "a", 1]],
    [["set", "b", "ü"]],
    [["setdefault", "a", 9]],
    [["setdefault", "b", 9]],
    [["pop", "a"]],
    [["pop", "b"]],
    [["del", "a"]],
    [["pop", "a"], ["pop", "l"]],
    [["update", {}]],
    [["update", {"b": 2}]],
    [["append", "l", 7]],
    [["append", "l", 7], ["modified", True]],
    [["set", "a", 2], ["modified", False]],
    [["modified", True]],
    [["permanent", True]],
    [["permanent", False]],
    [["permanent", True], ["set", "a", 1]],
    [["clear"]],
    [["clear"], ["set", "b", 2]],
    [["flash", "m", "error"]],
    [["flashes"]],
    [["flash", "m", "error"], ["flashes"]],
    [["set", "x", "y" * 200]],
]

CONFIGURATIONS = [
    {"SESSION_REFRESH_EACH_REQUEST": False},
    {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_SAMESITE": "None"},
    {"SESSION_COOKIE_HTTPONLY": False, "SESSION_COOKIE_SAMESITE": "lax"},
    {"SESSION_COOKIE_SAMESITE": "STRICT", "SESSION_COOKIE_NAME": "sid-x"},
    {"SESSION_COOKIE_SAMESITE": "None"},
    {"SESSION_COOKIE_SAMESITE": "sometimes"},
    {"SESSION_COOKIE_PARTITIONED": True},
    {"SESSION_COOKIE_DOMAIN": ".Example.org:8080"},
    {"SESSION_COOKIE_DOMAIN": "münchen.example"},
    {"SESSION_COOKIE_PATH": "/a b;ü", "APPLICATION_ROOT": "/not/this"},
    {"APPLICATION_ROOT": "/app"},
    {"SESSION_COOKIE_NAME": "__Host-s"},
    {"SESSION_COOKIE_NAME": "__Host-s", "SESSION_COOKIE_SECURE": True},
    {"PERMANENT_SESSION_LIFETIME": 90},
    {"PERMANENT_SESSION_LIFETIME": 0},
]

CONFIGURED_SCRIPTS = [[], [["set", "a", 1]], [["permanent", True], ["set", "a", 1]], [["clear"]]]

REQUEST_COOKIES = [
    "session=",
    "session=not.a.session",
    "session=eyJhIjoxfQ.ZjiB2Q.AAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "other=1",
]


def b64(data):
    return base64.b64encode(data).decode()


class LoggingInterface(ServerSideSessionInterface):
    """Flask-Session over a dictionary that tells what is done to it. Ids are numbered."""

    session_class = ServerSideSession
    ttl = False

    def __init__(self, app, records, permanent):
        super().__init__(app, "session:", False, permanent, 32, "msgpack", None)
        self.records, self.log, self.made = records, [], 0

    def _generate_sid(self, session_id_length):
        self.made += 1
        return f"NEWSID{self.made}"

    def _retrieve_session_data(self, store_id):
        self.log.append(["read", store_id])
        data = self.records.get(store_id)
        return None if data is None else self.serializer.decode(data)

    def _upsert_session(self, session_lifetime, session, store_id):
        data = self.serializer.encode(session)
        self.log.append(["write", store_id, b64(data), int(session_lifetime.total_seconds())])

    def _delete_session(self, store_id):
        self.log.append(["delete", store_id])


def operate(app, step):
    match step:
        case ["append", key, item]:
            session[key].append(item)
        case ["bool"]:
            bool(session)
        case ["clear"]:
            session.clear()
        case ["contains", key]:
            key in session
        case ["del", key]:
            del session[key]
        case ["flash", message, category]:
            flash(message, category)
        case ["flashes"]:
            get_flashed_messages()
        case ["get", key]:
            session.get(key)
        case ["len"]:
            len(session)
        case ["modified", value]:
            session.modified = value
        case ["permanent", value]:
            session.permanent = value
        case ["pop", key]:
            session.pop(key, None)
        case ["read_permanent"]:
            session.permanent
        case ["regenerate"]:
            app.session_interface.regenerate(session)
        case ["set", key, value]:
            session[key] = value
        case ["setdefault", key, value]:
            session.setdefault(key, value)
        case ["update", values]:
            session.update(values)
        case _:
            raise ValueError(step)


def run(now, tell, interface, before, script, config=None, options=None, cookie=None):
    """What one request is answered at the time `now`."""
    app = Flask("vectors")
    app.logger.disabled = True
    app.config.update(config or {}, SECRET_KEY="dev")
    name = app.config["SESSION_COOKIE_NAME"]
    case = {
        "interface": interface,
        "now": now,
        "config": config or {},
        "secret_key": "dev",
        "session_before": None if before is None else tell(before),
        "script": script,
    }
    if interface == "flask-session":
        records = {} if before is None else {"session:OLDSID": msgspec.msgpack.encode(before)}
        options = options or {}
        app.session_interface = LoggingInterface(app, records, options.get("permanent", True))
        case |= {"options": options, "store_before": {key: b64(data) for key, data in records.items()}}
        if before is not None:
            cookie = f"{name}=OLDSID"
    elif before is not None:
        made = app.session_interface.get_signing_serializer(app)
        with app.test_request_context():
            cookie = f"{name}={made.dumps(before)}"

    @app.get("/")
    def view():
        for step in script:
            operate(app, step)
        return ""

    client = app.test_client(use_cookies=False)
    # The values are read from JSON, so that the script's own lists are not changed.
    answer = client.get("/", headers=[("Cookie", cookie)] if cookie else [])
    case |= {
        "request_cookie": cookie,
        "status": answer.status_code,
        "set_cookie": answer.headers.getlist("Set-Cookie"),
        "vary": answer.headers.getlist("Vary"),
    }
    if interface == "flask-session":
        case["store_log"] = app.session_interface.log
    return case


class At(dt.datetime):
    seconds = 0

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(cls.seconds, tz)


def behaviours(now, at, tell):
    At.seconds = now
    with at(now), mock.patch("flask.sessions.datetime", At):
        for interface in ("native", "flask-session"):
            case = lambda *arguments, **more: run(now, tell, interface, *arguments, **more)
            for before, script in product(SESSIONS_BEFORE, SCRIPTS):
                yield case(before, script)
            for config, script in product(CONFIGURATIONS, CONFIGURED_SCRIPTS):
                yield case({"a": 1}, script, config)
                yield case({"_permanent": True, "a": 1}, script, config)
            for cookie in REQUEST_COOKIES:
                yield case(None, [["get", "a"]], cookie=cookie)
        for before, script in product(SESSIONS_BEFORE, ([["regenerate"]], [["set", "b", 1], ["regenerate"]])):
            yield run(now, tell, "flask-session", before, script)
        for before, script in product(SESSIONS_BEFORE, SCRIPTS[6:12]):
            yield run(now, tell, "flask-session", before, script, options={"permanent": False})


COOKIE_HEADERS = [
    "session=abc",
    "a=1; session=abc; b=2",
    "a=1;session=abc",
    "session=one; session=two",
    "session=; session=two",
    "session",
    "session;session=two",
    "SESSION=x",
    "Xsession=1; session=2",
    'session="quoted"',
    'session="a;b"; c=1',
    r'session="a\"b\\c\054d\303\274"',
    r'session="a\400b\8"',
    r"session=a\054b",
    'session="unclosed; a=1',
    'session="two"words; session=3',
    "session = spaced ; a=1",
    "\tsession\t=\ttabbed\t",
    "session=a b; session=c",
    "session=a=b==",
    "=nameless; session=1",
    ";; ;session=1;;",
    "session=%41%20b",
    "%73ession=x",
    "session=a,b",
    "session='single'",
    'a="x;session=1"; session=2',
    'a"b; session=1',
    "$Version=1; session=1",
]


def cookie_headers():
    for header in COOKIE_HEADERS:
        environ = EnvironBuilder(headers=[("Cookie", header)]).get_environ()
        yield {"header": header, "name": "session", "value": Request(environ).cookies.get("session")}
