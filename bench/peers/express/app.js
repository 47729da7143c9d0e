// express with express-session on SQLite: DATABASE, PORT, ROLLING.

const path = require("node:path");
const Database = require("better-sqlite3");
const express = require("express");
const session = require("express-session");
const nunjucks = require("nunjucks");
const SqliteStore = require("better-sqlite3-session-store")(session);

const database = new Database(process.env.DATABASE);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = NORMAL");

const app = express();
const engine = nunjucks.configure(["../templates", "../../../templates"].map((dir) => path.join(__dirname, dir)), {
  autoescape: true,
  trimBlocks: true,
  express: app,
});
engine.addGlobal("static", (name) => `/static/${name}?v=0123456789ab`);

app.use(
  session({
    store: new SqliteStore({ client: database }),
    secret: "0123456789abcdef0123456789abcdef",
    resave: false,
    saveUninitialized: false,
    rolling: process.env.ROLLING === "1",
    cookie: { maxAge: 31 * 86400 * 1000 },
  }),
);

const students = ["Steel Eggs", "Iron Egg", "maidservant"].map((name, i) => ({ id: i + 1, name }));

function page(response, user) {
  response.render("list.html", {
    user, students, q: "", page: 1, pages: 1, total: 3,
  });
}

function signedIn(request, response, next) {
  if (!request.session.user) return response.sendStatus(401);
  next();
}

function addOne(request) {
  request.session.n = (request.session.n || 0) + 1;
  return request.session.n;
}

app.get("/sign-in", (request, response) => {
  request.session.user = "gkf";
  response.send("signed in");
});

app.get("/page", signedIn, (request, response) => page(response, request.session.user));

app.get("/write", signedIn, (request, response) => {
  addOne(request);
  page(response, request.session.user);
});

app.get("/increment", signedIn, (request, response) => response.send(`n=${addOne(request)}`));

app.get("/count", (request, response) => response.send(`n=${request.session.n || 0}`));

app.listen(Number(process.env.PORT), "127.0.0.1");
