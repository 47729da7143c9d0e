//! `dewar init --from-flask`: a Flask application's settings become a Rocket.toml.

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use figment::providers::{Format, Toml};
use serde_json::{Value, json};
use support::{PASSWORD, USER, dewar, has, output_of};
use tempfile::TempDir;

const KEY: &str = "the key of the Flask application, kept";

/// A directory with a Flask configuration and nothing else.
struct Import {
    dir: TempDir,
    file: String,
}

impl Import {
    fn new(file: &str, content: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(file), content).unwrap();
        Self { dir, file: file.into() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = dewar(arguments);
        command.current_dir(self.dir.path());
        command
    }

    fn init(&self, arguments: &[&str]) -> Output {
        let account = ["--user", USER, "--password-stdin"];
        let all = [&["init", "--from-flask", &self.file], arguments, &account].concat();
        output_of(self.command(&all), PASSWORD.as_bytes())
    }

    /// Imports, and gives the report.
    fn report(&self, arguments: &[&str]) -> Value {
        let output = self.init(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Is refused with wrong usage, leaves nothing behind, and gives the reason.
    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.init(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert_eq!(self.files(), [&*self.file], "{error}");
        error
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn written(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("Rocket.toml")).unwrap()
    }

    /// What `dewar check` says is in force.
    fn check(&self, key: &str) -> String {
        let output = output_of(self.command(&["check", "--json"]), b"");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
        let settings = checked["settings"].as_array().unwrap();
        let setting = settings.iter().find(|setting| setting["key"] == key).unwrap();
        setting["value"].as_str().unwrap().to_owned()
    }

    fn assert_in_force(&self, settings: &[(&str, &str)]) {
        for (key, value) in settings {
            assert_eq!(self.check(key), *value, "{key}");
        }
    }

    /// Whether a cookie that Flask has signed with `key` is good here.
    fn takes_cookies_of(&self, key: &str) -> bool {
        let encode = self.command(&["cookie", "encode", "--secret-key", key]);
        let cookie = String::from_utf8(output_of(encode, br#"{"user":"gkf"}"#).stdout).unwrap();
        let decode = self.command(&["cookie", "decode", cookie.trim()]);
        output_of(decode, b"").status.success()
    }
}

/// The rows of a part of a report as name and line.
fn rows<'r>(report: &'r Value, part: &str) -> Vec<(&'r str, u64)> {
    let rows = report[part].as_array().unwrap().iter();
    rows.map(|row| {
        (row["name"].as_str().unwrap_or_default(), row["line"].as_u64().unwrap_or_default())
    })
    .collect()
}

#[test]
fn a_python_module_becomes_a_rocket_toml() {
    let import = Import::new("config.py", include_str!("data/flask_config.py"));
    let report = import.report(&[]);
    import.assert_in_force(&[
        ("SESSION_TYPE", "\"cookie\""),
        ("SESSION_COOKIE_NAME", "\"flask_session\""),
        ("SESSION_COOKIE_SECURE", "true"),
        ("SESSION_COOKIE_PATH", "\"/app\""),
        ("SESSION_ID_LENGTH", "48 bytes"),
        ("MAX_CONTENT_LENGTH", "8388608 bytes"),
        ("MAX_COOKIE_SIZE", "4000 bytes"),
        ("PERMANENT_SESSION_LIFETIME", "99000 seconds"),
        ("DATABASE", "\"dewar.db\""),
    ]);
    assert!(import.takes_cookies_of("a key of four words and a back slash \\"));
    assert!(!import.takes_cookies_of("another"));

    assert_eq!(report["account"], USER);
    assert_eq!(report["from"], "config.py");
    assert!(rows(&report, "taken").contains(&("SECRET_KEY", 12)));
    assert_eq!(rows(&report, "changed"), [("SESSION_COOKIE_DOMAIN", 32), ("SESSION_TYPE", 0)]);
    for taken in [("DEBUG", 10), ("TESTING", 11)] {
        assert!(rows(&report, "taken").contains(&taken));
    }
    assert_eq!(rows(&report, "not_carried_over"), [("MAIL_SERVER", 41)]);
    assert_eq!(rows(&report, "not_read"), [("SESSION_COOKIE_PATH", 40), ("SECRET_KEY", 44)]);
    let hint = report["not_read"][0]["why"].as_str().unwrap();
    assert!(hint.contains("the variable FLASK_SESSION_COOKIE_PATH sets it"), "{hint}");

    assert!(!import.files().contains(&"pwned".to_owned()), "Python was run");
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(import.dir.path().join("Rocket.toml")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_class_is_taken_with_what_it_inherits() {
    let source = format!(
        "import os\nclass Config:\n    SECRET_KEY = '{KEY}'\n    SESSION_COOKIE_NAME = 'base'\n\
         class ProductionConfig(Config):\n    SESSION_COOKIE_SECURE = True\n    \
         PERMANENT_SESSION_LIFETIME = 3600\n\
         class TestConfig(Config):\n    TESTING = True\n"
    );
    let import = Import::new("config.py", &source);
    let refused = import.refusal(&[]);
    assert!(refused.contains("Config, ProductionConfig, TestConfig"), "{refused}");
    assert!(refused.contains("--flask-class NAME"), "{refused}");
    let refused = import.refusal(&["--flask-class", "Missing"]);
    assert!(refused.contains("no class Missing"), "{refused}");

    import.report(&["--flask-class", "ProductionConfig"]);
    import.assert_in_force(&[
        ("SESSION_COOKIE_NAME", "\"base\""),
        ("SESSION_COOKIE_SECURE", "true"),
        ("PERMANENT_SESSION_LIFETIME", "3600 seconds"),
    ]);
    assert!(import.takes_cookies_of(KEY));
}

#[test]
fn an_application_in_a_single_file_is_taken() {
    let source = format!(
        "from flask import Flask, session\n\napp = Flask(__name__)\napp.secret_key = '{KEY}'\n\
         app.config.update(\n    SESSION_COOKIE_SAMESITE='Strict',\n    SESSION_COOKIE_NAME=name(),\n)\n\
         app.permanent_session_lifetime = timedelta(minutes=30)\n\n\
         @app.route('/')\ndef index():\n    session['x'] = 1\n    return 'SECRET_KEY = 1'\n\n\
         if __name__ == '__main__':\n    app.config['APPLICATION_ROOT'] = '/a'\n    app.run()\n"
    );
    let import = Import::new("app.py", &source);
    let report = import.report(&[]);
    let taken = [
        ("SECRET_KEY", 4),
        ("SESSION_COOKIE_SAMESITE", 6),
        ("PERMANENT_SESSION_LIFETIME", 9),
        ("APPLICATION_ROOT", 17),
    ];
    assert_eq!(rows(&report, "taken"), taken);
    assert_eq!(rows(&report, "not_read"), [("SESSION_COOKIE_NAME", 7)]);
    import.assert_in_force(&[
        ("SESSION_COOKIE_SAMESITE", "\"Strict\""),
        ("SESSION_COOKIE_PATH", "\"/a\""),
        ("PERMANENT_SESSION_LIFETIME", "1800 seconds"),
    ]);
    assert!(import.takes_cookies_of(KEY));
}

#[test]
fn variables_and_data_files_are_taken() {
    let env = format!(
        "# of the application\nFLASK_APP=app\nexport FLASK_SESSION_COOKIE_SECURE=true\n\
         FLASK_PERMANENT_SESSION_LIFETIME=60 # seconds\nFLASK_GENDER_LABELS__Unknown=none\n\
         SECRET_KEY='{KEY}'\nDATABASE_URL=postgres://u:hush@h/db\n"
    );
    let toml = format!(
        "SECRET_KEY = \"{KEY}\"\nSESSION_COOKIE_SECURE = true\nlower = 1\n\
         PERMANENT_SESSION_LIFETIME = 60\n[GENDER_LABELS]\nUnknown = \"none\"\n"
    );
    let json = json!({
        "SECRET_KEY": KEY, "SESSION_COOKIE_SECURE": true, "PERMANENT_SESSION_LIFETIME": 60,
        "SESSION_COOKIE_DOMAIN": null, "GENDER_LABELS": { "Unknown": "none" }, "lower": 1,
    });
    for (file, content) in [
        (".env", &env),
        ("production.env", &env),
        (".flaskenv", &env),
        ("config.toml", &toml),
        ("config.json", &json.to_string()),
    ] {
        let import = Import::new(file, content);
        let report = import.report(&[]);
        assert!(rows(&report, "taken").len() >= 4, "{file}: {report}");
        import.assert_in_force(&[
            ("SESSION_TYPE", "\"cookie\""),
            ("SESSION_COOKIE_SECURE", "true"),
            ("PERMANENT_SESSION_LIFETIME", "60 seconds"),
            ("GENDER_LABELS", "{\"Unknown\": \"none\"}"),
        ]);
        assert!(import.takes_cookies_of(KEY), "{file}");
    }
    let refused = Import::new("config.ini", "").refusal(&[]);
    assert!(refused.contains(".toml or .json"), "{refused}");
}

#[test]
fn what_dewar_refuses_is_told_by_flasks_line_and_nothing_is_written() {
    let source = format!(
        "SECRET_KEY = '{KEY}'\n\nSESSION_COOKIE_SAMESITE = 'None'\nSESSION_ID_LENGTH = 1\n"
    );
    let import = Import::new("config.py", &source);
    for arguments in [&[][..], &["--dry-run"]] {
        let error = import.refusal(arguments);
        assert!(error.contains("config.py:3: SESSION_COOKIE_SAMESITE is \"None\""), "{error}");
        assert!(error.contains("config.py:4: SESSION_ID_LENGTH must be"), "{error}");
        assert!(error.contains("nothing was written"), "{error}");
    }
    let import = Import::new("config.py", "SECRET_KEY = ''\nSESSION_COOKIE_NAME = 'a b'");
    assert!(import.refusal(&[]).contains("config.py:2: SESSION_COOKIE_NAME"));
}

#[test]
fn a_missing_key_is_drawn_and_the_users_sign_in_again() {
    let import = Import::new("config.py", "import os\nSECRET_KEY = os.urandom(16)\n");
    let report = import.report(&[]);
    assert_eq!(rows(&report, "not_read"), [("SECRET_KEY", 2)]);
    let changed = report["changed"].to_string();
    assert!(changed.contains("is a fresh one, so users sign in again"), "{changed}");
    let written = import.written();
    let key = written.lines().find_map(|line| line.strip_prefix("SECRET_KEY = ")).unwrap();
    assert_eq!(key.len(), 66, "{key}");
}

#[test]
fn a_store_that_is_not_there_is_told_and_nothing_of_it_is_written() {
    let source =
        format!("SECRET_KEY = '{KEY}'\nSESSION_TYPE = 'dynamodb'\nSESSION_PERMANENT = False\n");
    let import = Import::new("config.py", &source);
    let report = import.report(&[]);
    assert_eq!(rows(&report, "not_carried_over"), [("SESSION_TYPE", 2)]);
    let why = report["not_carried_over"][0]["why"].as_str().unwrap();
    assert!(why.contains("is a store "), "{why}");
    import.assert_in_force(&[
        ("SESSION_TYPE", "\"sqlite\""),
        ("SESSION_HASH_IDS", "true"),
        ("SESSION_PERMANENT", "false"),
    ]);
}

#[test]
fn a_dry_run_shows_what_would_be_written_and_writes_nothing() {
    let source = format!("SECRET_KEY = '{KEY}'\nSESSION_COOKIE_NAME = 'mine'\nOTHER = 1\n");
    let import = Import::new("config.py", &source);
    let dry_run = ["init", "--from-flask", "config.py", "--dry-run"];
    let output = output_of(import.command(&dry_run), b"");
    assert!(output.status.success());
    assert_eq!(import.files(), ["config.py"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    let table = String::from_utf8(output.stderr).unwrap();
    assert!(table.contains("OTHER") && table.contains("config.py:3"), "{table}");

    let json = output_of(import.command(&[&dry_run[..], &["--json"]].concat()), b"");
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["rocket_toml"], shown.as_str());
    import.report(&[]);
    let hidden = import
        .written()
        .replace(&format!("SECRET_KEY = \"{KEY}\""), "# SECRET_KEY = \"(not shown)\"");
    assert_eq!(shown, hidden);

    let (before, output) = (import.written(), import.init(&[]));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(import.written(), before, "left as it was");
}

#[test]
fn no_secret_is_ever_printed() {
    let lines = [
        "SECRET_KEY = 'hush'",
        "SECRET_KEY = 'hush' + x",
        "SECRET_KEY = 'hush",
        "SECRET_KEY = b'hush\\xff'",
        "SECRET_KEY = f('hush')",
        "SECRET_KEY, X = 'hush', 1",
        "SECRET_KEY = 'hush' $",
        "if x: SECRET_KEY = 'hush'",
        "SECRET_KEY_FALLBACKS = 'hush'",
        "SECRET_KEY_FALLBACKS = ['hush', x]",
        "SESSION_COOKIE_NAME = f('redis://u:hush@h')",
        "SESSION_COOKIE_NAME = f('hush')",
        "app.config.setdefault('MAIL', 'hush')",
        "app.config.update({'SECRET_KEY': 'hush', **x})",
        "SESSION_REDIS = redis.Redis(password='hush')",
        "MAIL = g('hush')",
    ];
    let files = lines.iter().map(|line| ("config.py", format!("{line}\n"))).chain([
        ("config.toml", "SECRET_KEY = 'hush".to_owned()),
        ("config.toml", "SECRET_KEY = hush".to_owned()),
        ("config.toml", "SECRET_KEY = ['hush']".to_owned()),
        ("config.json", r#"{"SECRET_KEY": "hush"#.to_owned()),
        ("config.json", r#"["hush"]"#.to_owned()),
        (
            ".env",
            "SECRET_KEY=hush\nSECRET_KEY=\"hush\" x\nhush\nFLASK_SECRET_KEY=hush${X}".to_owned(),
        ),
    ]);
    for (file, content) in files {
        for arguments in [&["--dry-run"][..], &["--dry-run", "--json"], &["--json"], &[]] {
            let output = Import::new(file, &content).init(arguments);
            for stream in [&output.stdout, &output.stderr] {
                let text = String::from_utf8_lossy(stream);
                assert!(!text.contains("hush"), "{content} {arguments:?}: {text}");
            }
        }
    }
}

#[test]
fn hostile_files_are_read_or_refused_at_once() {
    let names: String = (0..60_000).map(|i| format!("N{i} = f()\n")).collect();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("config.py", format!("A = {}", "[".repeat(500_000)).into()),
        ("config.py", format!("A = {}1{}", "(".repeat(300_000), ")".repeat(300_000)).into()),
        ("config.py", format!("A = {}1", "-".repeat(900_000)).into()),
        ("config.py", format!("A = {}", "f'{".repeat(300_000)).into()),
        ("config.py", "if x:\n".repeat(150_000).into()),
        ("config.py", "A = 9 ** 9 ** 9 ** 9\nB = 10 ** 1000000\n".into()),
        ("config.py", names.into()),
        ("config.py", vec![b'#'; 2 << 20]),
        ("config.py", (0..=255).cycle().take(100_000).collect()),
        ("config.py", b"A = 'x\0y'".to_vec()),
        ("config.py", b"A = '''never closed\n".to_vec()),
        ("config.py", b"\\".to_vec()),
        (".env", b"A='\\'".repeat(200_000)),
        (".env", b"${".repeat(500_000)),
        (".env", format!("FLASK_A{}=1", "__A".repeat(300_000)).into()),
        ("config.toml", format!("A = {}", "[".repeat(500_000)).into()),
        ("config.json", "{\"A\":".repeat(200_000).into()),
    ];
    for (index, (file, content)) in files.iter().enumerate() {
        let import = Import::new(file, content);
        let start = Instant::now();
        let output = import.init(&["--dry-run"]);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{index}: {output:?}");
        assert!(start.elapsed() < Duration::from_secs(20), "{index}: {:?}", start.elapsed());
        assert_eq!(import.files(), [*file]);
    }
    let fine = Import::new("config.py", "import os; os.system(\"touch pwned\")\n");
    fine.report(&[]);
    assert!(!fine.files().contains(&"pwned".to_owned()));
    for (content, reason) in [
        (&b"A = 1\nB = 'x"[..], "config.py:2: the string that begins here is not closed"),
        (b"A = (\n", "config.py:1: the bracket that begins here is not closed"),
        (b"\x7fELF\xff\xfe", "is not UTF-8 text"),
        (&vec![b'#'; 2 << 20], "is larger than 1 MiB"),
    ] {
        let error = Import::new("config.py", content).refusal(&[]);
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn the_flags_belong_together() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [
        &["init", "--dry-run"][..],
        &["init", "--flask-class", "X"],
        &["init", "--from-flask", "missing.py"],
        &["init", "--from-flask", "."],
    ] {
        let mut command = dewar(arguments);
        command.current_dir(dir.path());
        assert_eq!(output_of(command, b"").status.code(), Some(2), "{arguments:?}");
    }
    let import = Import::new("config.toml", "");
    assert!(import.refusal(&["--flask-class", "X"]).contains("Python"));
}

/// What Flask itself reads from a Python file, spans in seconds and bytes as text.
const ASK_FLASK: &str = "
import datetime, json, sys
from flask import Config
config = Config('.')
config.from_pyfile(sys.argv[1])
def plain(value):
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
print(json.dumps({name: plain(value) for name, value in config.items()}))
";

#[test]
fn flask_reads_the_same_values_from_the_same_file() {
    let python = std::env::var("DEWAR_FLASK_PYTHON").ok();
    let test = "flask_reads_the_same_values_from_the_same_file";
    if !has(python.is_some(), "a Python with Flask (DEWAR_FLASK_PYTHON)", test) {
        return;
    }
    let import = Import::new("config.py", include_str!("data/flask_config.py"));
    let mut command = Command::new(python.unwrap());
    command.args(["-W", "ignore", "-c", ASK_FLASK]);
    // Flask runs the file, and what that leaves behind is no concern of the import.
    let elsewhere = tempfile::tempdir().unwrap();
    command.arg(import.dir.path().join("config.py")).current_dir(elsewhere.path());
    let output = output_of(command, b"");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let flask: Value = serde_json::from_slice(&output.stdout).unwrap();

    let report = import.report(&[]);
    let written: Value = read_toml(&import.dir.path().join("Rocket.toml"));
    let taken = rows(&report, "taken");
    assert!(taken.len() > 12, "{taken:?}");
    for (name, _) in taken {
        match name {
            "PERMANENT_SESSION_LIFETIME" => {
                assert_eq!(
                    import.check(name),
                    format!("{} seconds", flask[name]).replace(".0 ", " ")
                );
            }
            _ => assert_eq!(written[name], flask[name], "{name}"),
        }
    }
}

fn read_toml(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap();
    let mut toml: Value = Toml::from_str(&text).unwrap();
    toml["default"].take()
}
