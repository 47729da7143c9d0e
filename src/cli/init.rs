//! `dewar init`: the first configuration, database and account.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;
use toml_edit::Value;

use super::flask_config::{self, Plan, Report, Written};
use super::user::{self, NewPassword};
use super::{Context, Failure, generate, terminal};
use crate::auth::Accounts;
use crate::auth::accounts::{Outcome, name_problem};
use crate::auth::password;
use crate::config::{self, Config};

/// The line of the written file that says where the database is.
const DATABASE: &str = "DATABASE = \"dewar.db\"";

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The first account's name [default: asks]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    password: NewPassword,
    /// Where accounts and students go: a SQLite file, or a PostgreSQL server's URL
    /// [default: dewar.db]
    #[arg(long, value_name = "PLACE", conflicts_with = "dry_run")]
    database: Option<String>,
    /// Take the settings of a Flask application: a .py, .cfg, .env, .toml or .json file, which is
    /// read and never run
    #[arg(long, value_name = "FILE")]
    from_flask: Option<PathBuf>,
    /// The class of a Python file that is the configuration [default: the only one]
    #[arg(long, value_name = "NAME", requires = "from_flask")]
    flask_class: Option<String>,
    /// Print what would be written, without its secrets, and write nothing
    #[arg(long, requires = "from_flask")]
    dry_run: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    if arguments.password.password_stdin && arguments.user.is_none() {
        return Err(Failure::Usage("--password-stdin needs --user NAME".into()));
    }
    let file = context.config.clone().unwrap_or_else(|| PathBuf::from("Rocket.toml"));
    if file.exists() && !arguments.dry_run {
        return Err(exists(&file));
    }
    let plan = match &arguments.from_flask {
        Some(path) => {
            let found = flask_config::read(path, arguments.flask_class.as_deref())?;
            Some(flask_config::plan(path, &found)?)
        }
        None => None,
    };
    if let Some(plan) = plan.as_ref().filter(|_| arguments.dry_run) {
        return dry_run(context, plan);
    }
    let name = match &arguments.user {
        Some(name) => name.clone(),
        None => terminal::ask("Name of the first account: ")?,
    };
    if let Some(problem) = name_problem(&name) {
        return Err(Failure::Usage(problem));
    }
    let text = match &plan {
        Some(plan) => plan.text(),
        None => {
            let value = generate::fresh_key()?.into();
            flask_config::render(
                &[Written { name: "SECRET_KEY".into(), value, comment: None }],
                true,
            )
        }
    };
    let text = match &arguments.database {
        Some(place) => text.replace(DATABASE, &format!("DATABASE = {}", Value::from(place))),
        None => text,
    };
    // What will be in force tells which passwords will do.
    let (staged, config) = stage(&file, &text)?;
    drop(staged);
    let hash = password::hash(&arguments.password.read(&config, &name)?)?;
    write_new(&file, &text)?;
    let report = plan.as_ref().map(|plan| &plan.report);
    if let Some(report) = report.filter(|_| !context.json) {
        print_report(report);
    }
    let context = Context { config: Some(file.clone()), json: context.json };
    let config = context.config()?;
    let accounts = Accounts::new(&context.db()?);
    match super::block_on(async { Ok(accounts.add(&name, hash).await?) })? {
        Outcome::Exists => return Err(user::name_taken(&name)),
        Outcome::Done | Outcome::NoSuchAccount => {}
    }
    let (file, database) = (file.display().to_string(), config.database.to_string());
    terminal::done(
        context.json,
        &format!(
            "wrote {file}, made {database} and the account {name}; start the server with `dewar`"
        ),
        &Done { config: &file, database: &database, account: &name, report },
    )
}

/// What was done, for programs.
#[derive(Serialize)]
struct Done<'d> {
    config: &'d str,
    database: &'d str,
    account: &'d str,
    #[serde(flatten)]
    report: Option<&'d Report>,
}

/// What would be done, for programs.
#[derive(Serialize)]
struct DryRun<'d> {
    rocket_toml: &'d str,
    #[serde(flatten)]
    report: &'d Report,
}

fn dry_run(context: &Context, plan: &Plan) -> Result<(), Failure> {
    let text = plan.text_to_show();
    if context.json {
        return terminal::print_json(&DryRun { rocket_toml: &text, report: &plan.report });
    }
    terminal::print(&text)?;
    print_report(&plan.report);
    Ok(())
}

fn print_report(report: &Report) {
    let (headings, rows) = report.table();
    terminal::note(terminal::table(headings, &rows).trim_end());
}

/// Writes a file that is not there yet, for its owner's eyes alone, if the configuration in it is
/// right.
fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    match stage(file, text)?.0.persist_noclobber(file) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(exists(file)),
        Err(error) => Err(Failure::Failed(format!("{}: {}", file.display(), error.error))),
    }
}

/// Writes the text beside the file, and reads the configuration from there.
fn stage(file: &Path, text: &str) -> Result<(NamedTempFile, Config), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", file.display()));
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut staged = tempfile::Builder::new()
        .prefix(".Rocket.toml.")
        .tempfile_in(dir.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    staged.write_all(text.as_bytes()).and_then(|()| staged.as_file().sync_all()).map_err(failed)?;
    let config = Config::from_figment(&config::figment(Some(staged.path()))?)?;
    Ok((staged, config))
}

fn exists(file: &Path) -> Failure {
    Failure::Usage(format!(
        "{} exists already and was left as it is; add accounts with `dewar user add NAME`",
        file.display()
    ))
}
