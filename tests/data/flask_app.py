"""The playground's routes on a real Flask, for tests/flask_live.rs. Prints the port it got."""

import socket
import sys

from flask import Flask, flash, get_flashed_messages, jsonify, request, session

app = Flask(__name__)
app.config.from_prefixed_env()
if app.config.get("SESSION_TYPE", "cookie") != "cookie":
    import flask_session

    if app.config["SESSION_TYPE"] == "redis":
        import redis

        app.config["SESSION_REDIS"] = redis.Redis.from_url(app.config["SESSION_REDIS"])
    if app.config["SESSION_TYPE"] == "memcached":
        import pymemcache

        # By default it does not wait for a write, which may then land after a later one.
        app.config["SESSION_MEMCACHED"] = pymemcache.Client(
            app.config["SESSION_MEMCACHED"], default_noreply=False
        )
    flask_session.Session(app)


@app.get("/get")
def get():
    return jsonify(dict(session))


@app.post("/set")
def set_values():
    session.update(request.get_json())
    return get()


@app.post("/pop/<key>")
def pop(key):
    session.pop(key, None)
    return get()


@app.post("/clear")
def clear():
    session.clear()
    return get()


@app.post("/permanent/<int:on>")
def permanent(on):
    session.permanent = bool(on)
    return get()


@app.post("/increment/<key>")
def increment(key):
    session[key] = session.get(key, 0) + 1
    return get()


@app.post("/flash/<category>/<message>")
def leave(category, message):
    flash(message, category)
    return ""


@app.get("/flashes")
def flashes():
    return jsonify(get_flashed_messages(with_categories=True))


if __name__ == "__main__":
    from werkzeug.serving import make_server

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    server = make_server("127.0.0.1", 0, app, fd=listener.fileno())
    sys.stderr = open("/dev/null", "w")
    server.serve_forever()
