"""Flask with its own cookie, or with Flask-Session: STORE (cookie, redis or sqlalchemy), REDIS,
DATABASE, ROLLING."""

import os
import pathlib

import flask
import jinja2
import sqlalchemy

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
STORE = os.environ["STORE"]

app = flask.Flask(__name__)
app.jinja_loader = jinja2.FileSystemLoader(
    [REPOSITORY / "bench/peers/templates", REPOSITORY / "templates"]
)
app.jinja_options = {"trim_blocks": True}
app.jinja_env.globals["static"] = lambda name: f"/static/{name}?v=0123456789ab"
app.config.update(
    SECRET_KEY="c4e1f09ab7d25386e0f1a2b3948576cd",
    SESSION_REFRESH_EACH_REQUEST=os.environ.get("ROLLING") == "1",
)

if STORE == "redis":
    import flask_session
    import redis

    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.from_url(os.environ["REDIS"]))
    flask_session.Session(app)
elif STORE == "sqlalchemy":
    import flask_session
    import flask_sqlalchemy

    @sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
    def set_pragmas(connection, _record):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{os.environ['DATABASE']}"
    database = flask_sqlalchemy.SQLAlchemy(app)
    app.config.update(SESSION_TYPE="sqlalchemy", SESSION_SQLALCHEMY=database)
    flask_session.Session(app)

# What is equal on every page, as in the other programs.
NAMES = ["Steel Eggs", "Iron Egg", "maidservant"]


def page(user):
    students = [{"id": id, "name": name} for id, name in enumerate(NAMES, 1)]
    return flask.render_template(
        "list.html", user=user, students=students, q="", page=1, pages=1, total=3
    )


def user():
    return flask.session.get("user") or flask.abort(401)


def add_one():
    flask.session["n"] = flask.session.get("n", 0) + 1
    return flask.session["n"]


@app.get("/sign-in")
def sign_in():
    flask.session.permanent = True
    flask.session["user"] = "gkf"
    return "signed in"


@app.get("/page")
def read():
    return page(user())


@app.get("/write")
def write():
    name = user()
    add_one()
    return page(name)


@app.get("/increment")
def increment():
    user()
    return f"n={add_one()}"


@app.get("/count")
def count():
    return f"n={flask.session.get('n', 0)}"
