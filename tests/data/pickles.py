"""Random values for tests/flask_live.rs. `write SEED` prints each as a pickle in base64, in all
protocols; `check SEED` reads pickles of the same values and compares them strictly."""

import base64
import datetime as dt
import pickle
import random
import sys
import uuid

from markupsafe import Markup

ALPHABET = "ab\\'\"\n\r\t\0\x7f\x80éß€中\u2028\uffff😀"


def value(rng, depth=0):
    text = "".join(rng.choice(ALPHABET) for _ in range(rng.choice((0, 1, 5, 40, 300))))
    match rng.randrange(14 if depth < 4 else 10):
        case 0:
            return rng.choice((None, True, False))
        case 1:
            return rng.randrange(-300, 70_000)
        case 2:
            return rng.choice((-1, 1)) * (2 ** rng.randrange(300) + rng.randrange(-1, 2))
        case 3:
            return rng.uniform(-1, 1) * 10.0 ** rng.randrange(-300, 300)
        case 4:
            return rng.choice((0.0, -0.0, float("inf"), float("-inf"), float("nan"), 5e-324, 1e16))
        case 5 | 6:
            return text
        case 7:
            return rng.randbytes(rng.choice((0, 1, 255, 256)))
        case 8:
            return rng.choice((Markup(text), uuid.UUID(int=rng.getrandbits(128))))
        case 9:
            zone = dt.timezone(dt.timedelta(minutes=rng.randrange(-1439, 1440)))
            micros = dt.timedelta(microseconds=rng.randrange(-(10**16), 10**17))
            return dt.datetime(1970, 1, 1, tzinfo=rng.choice((dt.timezone.utc, zone))) + micros
        case 10:
            return [value(rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 3, 5)))]
        case 11:
            return tuple(value(rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 3, 5))))
        case 12:
            shared = value(rng, depth + 1)
            return [shared, {"again": shared}, (shared, shared)]
        case 13:
            keys = (text, "a", "_permanent", rng.randrange(100), (1, text), b"k", None, 2.5)
            return {rng.choice(keys): value(rng, depth + 1) for _ in range(rng.randrange(6))}


def sessions(seed):
    rng = random.Random(seed)
    for _ in range(400):
        yield {f"k{i}": value(rng) for i in range(rng.randrange(6))}


def is_same(one, other):
    if type(one) is not type(other):
        return False
    match one:
        case float():
            return repr(one) == repr(other)
        case list() | tuple():
            return len(one) == len(other) and all(map(is_same, one, other))
        case dict():
            return is_same(list(one.items()), list(other.items()))
    return one == other


def main(mode, seed):
    for session in sessions(seed):
        # Protocols 0 and 1 write UUIDs and Markup with functions of `copyreg`.
        for protocol in range(2, 6):
            if mode == "write":
                print(base64.b64encode(pickle.dumps(session, protocol)).decode())
            else:
                loaded = pickle.loads(base64.b64decode(input()))
                assert is_same(session, loaded), f"{session!r} came back as {loaded!r}"


main(sys.argv[1], int(sys.argv[2]))
