"""A session in MongoDB by the real Flask-Session and pymongo, for tests/store_mongodb.rs.

URL FORMAT SID VALUES: what the session holds is printed, in JSON, after the values, a JSON object,
were put in it, if there are any; then the session's id. Without a SID a new session is begun.
"""

import json
import sys

import flask_session
from flask import Flask, jsonify, request, session
from pymongo import MongoClient

url, format, sid, values = sys.argv[1:]
app = Flask(__name__)
app.config |= {
    "SESSION_TYPE": "mongodb",
    "SESSION_MONGODB": MongoClient(url),
    "SESSION_SERIALIZATION_FORMAT": format,
}
flask_session.Session(app)


@app.post("/")
def update():
    if request.get_json():
        session.update(request.get_json())
    return jsonify(dict(session), session.sid)


client = app.test_client()
if sid:
    client.set_cookie("session", sid)
answer = client.post("/", json=json.loads(values))
assert answer.status_code == 200, answer.text
for line in answer.get_json():
    print(line if isinstance(line, str) else json.dumps(line))
