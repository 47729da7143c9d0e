"""A Flask configuration with the literals that people write, for tests/import.rs."""

import os
import datetime
from datetime import timedelta

os.system("touch pwned")

minutes = 60
DEBUG = False
TESTING: bool = not DEBUG
SECRET_KEY = b"a key of \x66our words and " b'a back slash \\'
SECRET_KEY_FALLBACKS = [
    "plain",
    'it\'s "quoted"',
    r"raw \n \'",
    "escapes \a\b\f\n\r\t\v \0\12\101 \x41 \u00e9 \U0001F600 \q",
    """three
  lines \
joined, with "quotes" and 'more'""",
    'implicit '  # a comment in between
    "concatenation",
    ("in brackets"),
    b"bytes \x7f",
    u"é 😀 \u2028",
    R'\d',
    rb"\x41",
]
SESSION_COOKIE_NAME = SESSION_KEY_PREFIX = "flask_session"
SESSION_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_DOMAIN = None
SESSION_ID_LENGTH = 0x_30
MAX_CONTENT_LENGTH = 16 * 1_024 ** 2 // 2 + -1 - (2 - 3)
MAX_COOKIE_SIZE = \
    4_000
PERMANENT_SESSION_LIFETIME = datetime.timedelta(1, minutes * 60, hours=1.5, minutes=minutes); APPLICATION_ROOT = "/app"
GENDER_LABELS = {"Unknown": "male", 'nobody"s': "x\ty", "z": "é",}
TRUSTED_ORIGINS = ("https://one.example", "https://two.example",)
SESSION_COOKIE_PATH = os.environ.get("COOKIE_PATH", "/from-the-environment")
MAIL_SERVER = "mail.example"

if os.environ.get("NOT_SET"):
    SECRET_KEY = "another"


def helper():
    SESSION_COOKIE_NAME = "a local"
    return SESSION_COOKIE_NAME
