#!/usr/bin/env python3
"""Asks the real Flask, itsdangerous, Werkzeug, Flask-Session, msgspec, cachelib and pymongo what they write and
read, and prints it as JSON for tests/flask_vectors.rs:

    python3 -m venv venv && venv/bin/pip install -r tests/data/requirements.txt
    venv/bin/python tests/data/make_flask_vectors.py > tests/data/flask.json
"""

import base64
import datetime as dt
import hashlib
import importlib.metadata
import itertools
import json
import os
import pathlib
import pickle
import random
import string
import tempfile
import uuid
import warnings
from unittest import mock

import bson
import itsdangerous
import sqlalchemy
from cachelib.file import FileSystemCache
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask_session.base import MsgSpecSerializer, ServerSideSession
from flask_session.memcached import MemcachedSessionInterface
from flask_session.mongodb import MongoDBSessionInterface
from flask_session.sqlalchemy import SqlAlchemySessionInterface
from flask_sqlalchemy import SQLAlchemy
from itsdangerous import BadSignature
from markupsafe import Markup
from pymemcache.client.hash import HashClient
from werkzeug.http import http_date

from flask_behaviours import behaviours, cookie_headers

NOW = 1_714_979_289
DAYS_31 = 31 * 24 * 3600
UTC = dt.timezone.utc


def b64(data):
    return base64.b64encode(data).decode()


def tell(value):
    """The value with its type named."""
    match value:
        case None:
            return {"null": True}
        case bool():
            return {"bool": value}
        case int():
            return {"int": str(value)}
        case float():
            return {"float": repr(value)}
        case Markup():
            return {"markup": str(value)}
        case str():
            return {"str": value}
        case bytes():
            return {"bytes": b64(value)}
        case list():
            return {"list": [tell(item) for item in value]}
        case tuple():
            return {"tuple": [tell(item) for item in value]}
        case dict():
            return {"dict": [[tell(key), tell(item)] for key, item in value.items()]}
        case uuid.UUID():
            return {"uuid": value.hex}
        case dt.datetime():
            return {"datetime": value.isoformat()}
    raise TypeError(type(value))


VALUES = {
    "empty": {},
    "one int": {"a": 1},
    "a user": {"_permanent": True, "user": "gkf"},
    "null and booleans": {"n": None, "t": True, "f": False},
    "integers of many sizes": {
        str(n): n
        for n in (0, 1, -1, 127, 128, 255, 256, 65535, 65536, 2**31, 2**32, 2**63, 2**64 - 1)
    },
    "negative integers of many sizes": {
        str(n): n for n in (-32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**63))
    },
    "past 64 bits": {"a": 2**64, "b": -(2**63) - 1},
    "past 128 bits": {"a": 10**60, "b": -(10**60)},
    "floats": {
        str(i): x
        for i, x in enumerate(
            (0.0, -0.0, 0.1, 1.0, -1.5, 1e15, 1e16, 1e17, 1e22, 1e-4, 1e-5, 1e-6, 1e-7, 1.5e300, 5e-324)
        )
    },
    "infinities": {"a": float("inf"), "b": float("-inf")},
    "not a number": {"a": float("nan")},
    "text of every kind": {"t": "é ß 中 😀 \u2028 \x7f \x00 \x1f \" \\ / <script>&'"},
    "control characters": {"c": "\b\t\n\f\r\x01"},
    "keys sorted by code point": {"b": 1, "B": 2, "a": 3, "é": 4, "😀": 5, "\uffff": 6},
    "lists": {"l": [1, [2, [3, []]], {}]},
    "tuples": {"t": (1, ("a", ()), [(2,)])},
    "bytes": {"b": bytes(range(256)), "e": b""},
    "markup": {"m": Markup("<b>bold</b> & more")},
    "uuid": {"u": uuid.UUID("12345678-1234-5678-1234-567812345678")},
    "a time": {"d": dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)},
    "a time with microseconds": {"d": dt.datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)},
    "a time before 1970": {"d": dt.datetime(1900, 1, 1, tzinfo=UTC)},
    "a time far ahead": {"d": dt.datetime(2600, 1, 1, tzinfo=UTC)},
    "a naive time": {"d": dt.datetime(2024, 1, 2, 3, 4, 5)},
    "flash messages": {"_flashes": [("message", "Saved"), ("error", "Lost")]},
    "a key that is a tag": {" t": 1},
    "a nested key that is a tag": {"x": {" di": {" b": "abc"}}},
    "two keys, one a tag": {" t": 1, "a": 2},
    "a key like an escaped tag": {" t__": 1},
    "integer keys": {"d": {1: "a", 10: "b", 9: "c"}},
    "a none key": {"d": {None: 1}},
    "float keys": {"d": {1.5: 1, 0.5: 2}},
    "long enough to compress": {"a": "x" * 200},
    "long and varied": {f"key{i}": i * i for i in range(60)},
    "a long list and map": {"l": list(range(70000 // 1000)), "m": {str(i): None for i in range(20)}},
    "texts at the borders of their lengths": {str(n): "x" * n for n in (31, 32, 255, 256, 65536)},
    "bytes at the borders of their lengths": {str(n): b"x" * n for n in (255, 256)},
}


def random_value(rng, depth=0):
    kind = rng.randrange(11 if depth < 3 else 8)
    text = "".join(rng.choice(string.printable + "éß中😀\u2028") for _ in range(rng.randrange(12)))
    match kind:
        case 0:
            return None
        case 1:
            return rng.random() < 0.5
        case 2:
            return rng.randrange(-(2**63), 2**64)
        case 3:
            return rng.uniform(-1, 1) * 10 ** rng.randrange(-300, 300)
        case 4 | 5:
            return text
        case 6:
            return rng.randbytes(rng.randrange(40))
        case 7:
            return dt.datetime.fromtimestamp(rng.randrange(-(2**31), 2**34), UTC)
        case 8:
            return [random_value(rng, depth + 1) for _ in range(rng.randrange(5))]
        case 9:
            return tuple(random_value(rng, depth + 1) for _ in range(rng.randrange(4)))
        case 10:
            keys = [text, "a", " t", " b", "_permanent"]
            return {rng.choice(keys): random_value(rng, depth + 1) for _ in range(rng.randrange(4))}


def all_values():
    rng = random.Random(4711)
    yield from VALUES.items()
    for i in range(60):
        yield f"random {i}", {f"k{j}": random_value(rng) for j in range(rng.randrange(1, 6))}


def serializer(secret, fallbacks=()):
    app = Flask("vectors")
    app.config.update(SECRET_KEY=secret, SECRET_KEY_FALLBACKS=list(fallbacks))
    made = SecureCookieSessionInterface().get_signing_serializer(app)
    return app, made


def at(seconds):
    signer = itsdangerous.TimestampSigner
    return mock.patch.object(signer, "get_timestamp", lambda self: seconds)


def secret_form(secret):
    return {"b64": b64(secret)} if isinstance(secret, bytes) else secret


def read_cookie(case):
    """What Flask makes of the cookie."""
    key = lambda form: base64.b64decode(form["b64"]) if isinstance(form, dict) else form
    app, made = serializer(key(case["secret_key"]), [key(k) for k in case["fallbacks"]])
    with app.test_request_context(), at(case["valid_at"]):
        try:
            # An empty session is what Flask makes of null.
            loaded = dict(made.loads(case["cookie"], max_age=case["max_age"]) or {})
        except BadSignature:
            return case | {"expect": "reject"}
        except Exception:  # Flask answers 500 to any other
            return case | {"expect": "error"}
    return case | {"expect": "ok", "loads_to": tell(loaded)}


def cookie_case(description, cookie, secret="dev", fallbacks=(), max_age=DAYS_31, valid_at=NOW, **more):
    return read_cookie(
        {
            "description": description,
            "secret_key": secret_form(secret),
            "fallbacks": [secret_form(key) for key in fallbacks],
            "max_age": max_age,
            "timestamp": NOW,
            "valid_at": valid_at,
            "cookie": cookie,
        }
        | more
    )


def make_cookie(value, secret="dev", fallbacks=(), timestamp=NOW):
    app, made = serializer(secret, fallbacks)
    with app.test_request_context(), at(timestamp):
        return made.dumps(value), made.serializer.dumps(value)


def cookies():
    for description, value in all_values():
        try:
            cookie, payload = make_cookie(value)
        except TypeError:
            continue
        exact = "json" if cookie.startswith(".") else "exact"
        more = {"value": tell(value), "payload": payload, "encode": exact}
        yield cookie_case(description, cookie, **more)

    plain, _ = make_cookie({"n": 5, "user": "gkf"})
    payload, timestamp, signature = plain.split(".")
    for description, secret in (("bytes", b"\x00\xff key"), ("unicode", "schlüssel"), ("long", "x" * 200)):
        cookie, _ = make_cookie({"a": 1}, secret)
        yield cookie_case(f"{description} key", cookie, secret)
    for description, signing, secret, fallbacks in (
        ("a fallback", "old", "new", ["older", "old"]),
        ("the first fallback", "older", "new", ["older", "old"]),
        ("another key", "other", "new", ["older", "old"]),
        ("a wrong key", "other", "dev", []),
    ):
        yield cookie_case(f"signed with {description}", make_cookie({"a": 1}, signing)[0], secret, fallbacks)
    for age, max_age in ((0, 0), (60, 60), (61, 60), (DAYS_31, DAYS_31), (DAYS_31 + 1, DAYS_31), (-1, 60), (1, 0)):
        yield cookie_case(f"age {age} of {max_age}", plain, max_age=max_age, valid_at=NOW + age)
    for part in range(3):
        parts = plain.split(".")
        parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
        yield cookie_case(f"part {part} changed", ".".join(parts))
    for description, cookie in {
        "truncated": plain[:-1],
        "no signature": f"{payload}.{timestamp}.",
        "no timestamp": f"{payload}.{signature}",
        "parts swapped": f"{signature}.{timestamp}.{payload}",
        "marked as compressed": "." + plain,
        "no dots": payload,
        "two dots": "..",
        "three dots": "...",
        "not base64": "***.???.!!!",
        "a blank": " ",
        "one dot": ".",
    }.items():
        yield cookie_case(description, cookie)
    for description, salt, digest in (("salt", "other-salt", None), ("digest", "cookie-session", "sha256")):
        kwargs = {"digest_method": getattr(hashlib, digest)} if digest else {}
        signer = itsdangerous.TimestampSigner("dev", salt=salt, key_derivation="hmac", **kwargs)
        with at(NOW):
            yield cookie_case(f"another {description}", signer.sign(payload).decode())
    signer = itsdangerous.TimestampSigner("dev", salt="cookie-session", key_derivation="hmac")
    for description, raw in (
        ("not JSON", "bm90IGpzb24"),
        ("not base64", "a"),
        ("not zlib", ".bm9wZQ"),
        ("a number", "NQ"),
        ("a bad uuid in a tag", base64.urlsafe_b64encode(b'{"x":{" u":"zz"}}').decode().rstrip("=")),
        ("broken UTF-8", base64.urlsafe_b64encode(b'{"a":"\xff"}').decode().rstrip("=")),
        ("empty", ""),
        ("white space in JSON", base64.urlsafe_b64encode(b' { "a" : [ 1 , 2 ] } ').decode().rstrip("=")),
        ("a repeated key", base64.urlsafe_b64encode(b'{"a":1,"a":2}').decode().rstrip("=")),
        ("null", "bnVsbA"),
    ):
        with at(NOW):
            yield cookie_case(f"rightly signed: {description}", signer.sign(raw).decode())


def records():
    formats = {name: MsgSpecSerializer(Flask("vectors"), name) for name in ("msgpack", "json")}
    for description, value in all_values():
        case = {"description": description, "value": tell(value)}
        for name, made in formats.items():
            try:
                data = made.encode(value)
                loaded = tell(made.decode(data))
            except Exception:
                case |= {name: None}
                continue
            case |= {name: b64(data) if name == "msgpack" else data.decode(), f"{name}_loads_to": loaded}
        yield case


def record_decode():
    made = MsgSpecSerializer(Flask("vectors"), "msgpack")
    for description, data in {
        "JSON": b'{"a": 8}',
        "JSON with white space": b' { "a" : [ 1 , 2 ] } ',
        "longer forms than needed": bytes.fromhex("de0001d90161cd0008"),
        "the longest forms": bytes.fromhex("df00000001db0000000161d3fffffffffffffff8"),
        "float32": bytes.fromhex("81a161ca41080000"),
        "a repeated key": bytes.fromhex("82a16101a16108"),
        "a trailing byte": bytes.fromhex("81a1610101"),
        "truncated": bytes.fromhex("82a16101"),
        "garbage": b"garbage",
        "an array": bytes.fromhex("920102"),
        "nil": b"\xc0",
    }.items():
        case = {"description": description, "data": b64(data)}
        try:
            yield case | {"expect": "ok", "loads_to": tell(made.decode(data))}
        except Exception:
            yield case | {"expect": "error"}
    for protocol in range(6):
        data = pickle.dumps({"a": 1}, protocol)
        yield {
            "description": f"pickle protocol {protocol}",
            "data": b64(data),
            "expect": "ok",
            "loads_to": tell({"a": 1}),
            "legacy_pickle": True,
        }
    everything = {
        "_permanent": True,
        "list": [None, -1, 300, 2**70, 1.5, "é", (), (1,), (1, 2, 3, 4), {"k": {}}],
        "bytes": b"\x00\xff",
        "uuid": uuid.UUID(int=2**128 - 1),
        "markup": Markup("<b>"),
        "date": dt.datetime(2024, 1, 2, 3, 4, 5, 6, dt.timezone(dt.timedelta(hours=-5), "EST")),
    }
    everything["again"] = everything["list"]
    for protocol in range(2, 6):
        yield {
            "description": f"everything plain in pickle protocol {protocol}",
            "data": b64(pickle.dumps(everything, protocol)),
            "expect": "ok",
            "loads_to": tell(everything),
            "legacy_pickle": True,
        }
    for description, data in hostile_pickles():
        yield {"description": description, "data": b64(data), "expect": "must_refuse"}


class Hostile:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile_pickles():
    """What runs code, or takes all memory, where it is loaded. None is loaded here."""
    for protocol in range(6):
        for function, argument in ((os.system, "true"), (eval, "1"), (getattr, "x")):
            call = {"a": [Hostile(function, argument)]}
            yield f"calls {function.__name__} in protocol {protocol}", pickle.dumps(call, protocol)
    cycle = {}
    cycle["self"] = [cycle]
    laughs = []
    for _ in range(40):
        laughs = [laughs] * 10
    yield "a dictionary in itself", pickle.dumps(cycle)
    yield "lists of ten times the same", pickle.dumps({"a": laughs})
    yield "an instance by name", b"(ios\nsystem\n."
    yield "an extension", b"\x80\x02}U\x01a\x82\x01s."
    yield "a persistent id", b"}Va\nPid\ns."
    yield "many opened marks", b"(" * 1000
    yield "a text of 2 GiB that is not there", b"\x80\x04X\xff\xff\xff\x7fabc."


def filesystem():
    """What cachelib, as Flask-Session uses it, puts into files."""
    rng = random.Random(4712)
    hashes = {"sha256": hashlib.sha256, "md5": hashlib.md5}
    # A time without a zone is Python's own, and what is long is no different here.
    values = {name: value for name, value in all_values() if len(repr(value)) < 10_000}
    del values["a naive time"]
    files = []
    for index, (description, value) in enumerate(values.items()):
        sid = base64.urlsafe_b64encode(rng.randbytes(32)).decode().rstrip("=")
        prefix = ("session:", "app1:", "")[index % 3]
        lifetime = (DAYS_31, 3600, 0)[index % 7 % 3]
        case = {
            "description": description,
            "sid": sid,
            "key_prefix": prefix,
            "store_id": prefix + sid,
            "now": NOW,
            "lifetime": lifetime,
        }
        for name, method in hashes.items():
            with tempfile.TemporaryDirectory() as dir, mock.patch("cachelib.file.time") as time:
                time.return_value = NOW + 0.5
                cache = FileSystemCache(dir, threshold=0, mode=0o600, hash_method=method)
                assert cache.set(prefix + sid, value, timeout=lifetime)
                [file] = pathlib.Path(dir).iterdir()
                data = file.read_bytes()
                case["loads_to"] = tell(cache.get(prefix + sid))
                case[f"filename_{name}"] = file.name
                case |= {"file": b64(data), "mode": f"{file.stat().st_mode & 0o777:04o}"}
                case |= {"expiry": int.from_bytes(data[:4], "little"), "live_at": []}
                for moment in (case["expiry"], case["expiry"] + 1) if lifetime else ():
                    time.return_value = moment
                    case["live_at"].append([moment, cache.has(prefix + sid)])
        files.append(case)
    kind = {"files": files}
    for name, method in hashes.items():
        with tempfile.TemporaryDirectory() as dir:
            cache = FileSystemCache(dir, hash_method=method)
            [count] = pathlib.Path(dir).iterdir()
            cache.set("one", 1)
            kind[f"count_file_{name}"] = count.name
            kind["count_file_bytes_for_1"] = b64(count.read_bytes())
    return kind


class Collection:
    """Keeps the document that Flask-Session upserts."""

    def create_index(self, field, **options):
        assert (field, options) == ("expiration", {"expireAfterSeconds": 0})

    def update_one(self, filter, update, upsert):
        [(operator, self.document)] = update.items()
        assert operator == "$set" and upsert and filter == {"id": self.document["id"]}


def mongodb_documents():
    """What Flask-Session has MongoDB keep, but for the `_id` that MongoDB adds."""
    rng = random.Random(4713)
    values = [value for name, value in all_values() if len(repr(value)) < 1_000 and name != "a naive time"]
    for index, value in enumerate(values):
        kept = Collection()
        format = ("msgpack", "json")[index % 2]
        prefix = ("session:", "app1:", "")[index % 3]
        lifetime = (dt.timedelta(days=31), dt.timedelta(seconds=3600), dt.timedelta(milliseconds=1500))[index % 7 % 3]
        client = {"flask_session": {"sessions": kept}}
        with mock.patch("flask_session.mongodb.mongodb.MongoClient", dict):
            interface = MongoDBSessionInterface(Flask("vectors"), client, serialization_format=format)
        store_id = prefix + base64.urlsafe_b64encode(rng.randbytes(32)).decode().rstrip("=")
        moment = dt.datetime.fromtimestamp(NOW, UTC).replace(microsecond=987_654)
        with mock.patch("flask_session.mongodb.mongodb.datetime", wraps=dt.datetime) as clock:
            clock.utcnow.return_value = moment.replace(tzinfo=None)
            try:
                interface._upsert_session(lifetime, ServerSideSession(value), store_id)
            except Exception:
                continue
        data = bson.encode(kept.document)
        yield {
            "id": store_id,
            "val": b64(kept.document["val"]),
            "expiration_ms": int(bson.decode(data)["expiration"].replace(tzinfo=UTC).timestamp() * 1000),
            "bson_without__id": b64(data),
        }


def signer():
    made = itsdangerous.Signer("dev", salt="flask-session", key_derivation="hmac")
    for sid in ("-56h5Ce53LwAjfkkN8UD-RgSu_QkFsoO7ZdGzgwQ8_c", "OLDSID", "a.b"):
        cookie = made.sign(sid).decode()
        case = {"secret_key": "dev", "sid": sid}
        yield case | {"cookie": cookie, "expect": "ok", "encode": True}
        for bad in (cookie[:-1], "x" + cookie, cookie.replace(".", "-"), cookie[: cookie.rindex(".")], ""):
            yield case | {"cookie": bad, "expect": "reject", "encode": False}


def http_dates():
    for seconds in (0, -1, 86399, 951782400, NOW, 4102444799, 253402300799, -2208988800):
        yield {"unix": seconds, "http_date": http_date(dt.datetime.fromtimestamp(0, UTC) + dt.timedelta(seconds=seconds))}


def memcached_exptime():
    timeout = MemcachedSessionInterface._get_memcache_timeout
    day = 24 * 3600
    for lifetime in (-1, 0, 1, day, 30 * day - 1, 30 * day, 30 * day + 1, 31 * day, 400 * day):
        for now in (0, NOW):
            with mock.patch("flask_session.memcached.memcached.time.time", lambda: now + 0.9):
                yield {"now": now, "lifetime": lifetime, "exptime": timeout(None, lifetime)}


def memcached_servers():
    """Which server pymemcache's HashClient takes for a key."""
    rng = random.Random(4713)
    for count in (1, 2, 3, 8):
        servers = [f"10.0.0.{n}:11211" for n in range(count - 2)] + ["cache.example:11212", "::1:11211"]
        servers = servers[:count]
        pairs = [server.rsplit(":", 1) for server in servers]
        client = HashClient([(host, int(port)) for host, port in pairs])
        for _ in range(10 * count):
            sid = base64.urlsafe_b64encode(rng.randbytes(32)).decode().rstrip("=")
            key = f"session:{sid}"[: rng.randrange(1, 52)]
            host, port = client._get_client(key).server
            yield {"servers": servers, "key": key, "server": f"{host}:{port}"}


def sqlalchemy_rows():
    """Rows that Flask-Session writes to a SQLite file, by a clock that says the time."""
    lifetimes = (1, 60, DAYS_31)
    times = (
        dt.datetime(2024, 5, 6, 7, 8, 9),
        dt.datetime(2024, 5, 6, 7, 8, 9, 500),
        dt.datetime(2024, 2, 28, 23, 59, 59, 999999),
        dt.datetime(1999, 12, 31, 23, 59, 59, 1),
        dt.datetime(2099, 12, 31, 12, 0, 0, 123456),
    )
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        app = Flask("vectors")
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{directory}/sessions.db"
        made = SqlAlchemySessionInterface(app, SQLAlchemy(app))
        with app.app_context():
            for number, (time, lifetime) in enumerate(itertools.product(times, lifetimes)):
                session_id = f"session:{number}"
                with mock.patch("flask_session.sqlalchemy.sqlalchemy.datetime") as clock:
                    clock.utcnow.return_value = time
                    made._upsert_session(dt.timedelta(seconds=lifetime), {"n": number}, session_id)
                row = made.client.session.execute(
                    sqlalchemy.text("SELECT data, CAST(expiry AS TEXT) FROM sessions WHERE session_id = :id"),
                    {"id": session_id},
                ).one()
                yield {
                    "session_id": session_id,
                    "data": b64(row[0]),
                    "utcnow": time.isoformat(),
                    "lifetime": lifetime,
                    "expiry_sqlite_text": row[1],
                }


def main():
    packages = ("Flask", "Werkzeug", "itsdangerous", "Flask-Session", "msgspec", "cachelib", "pymemcache", "SQLAlchemy", "pymongo")
    vectors = {
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "cookies": list(cookies()),
        "records": list(records()),
        "record_decode": list(record_decode()),
        "signer": list(signer()),
        "sqlalchemy_rows": list(sqlalchemy_rows()),
        "http_date": list(http_dates()),
        "memcached_exptime": list(memcached_exptime()),
        "memcached_servers": list(memcached_servers()),
        "cookie_header": list(cookie_headers()),
        "behaviour": list(behaviours(NOW, at, tell)),
        "filesystem": filesystem(),
        "mongodb_documents": list(mongodb_documents()),
    }
    # A case a line, so that a change shows which cases it changes.
    print("{")
    print(f'"versions": {json.dumps(vectors.pop("versions"), sort_keys=True)}', end="")
    for kind, cases in vectors.items():
        print(f',\n"{kind}": ', end="")
        if isinstance(cases, dict):
            files = cases.pop("files")
            print(json.dumps(cases, sort_keys=True)[:-1] + ', "files": ', end="")
            print_cases(files)
            print("}", end="")
        else:
            print_cases(cases)
    print("\n}")


def print_cases(cases):
    lines = ",\n".join(json.dumps(case, sort_keys=True) for case in cases)
    print(f"[\n{lines}\n]", end="")


main()
