use proptest::prelude::*;

use super::shown::MAX_SHOWN;
use super::*;

fn found(source: &str, class: Option<&str>) -> Found {
    match read(source, class) {
        Ok(found) => found,
        Err(refusal) => panic!("{source}: {}", refusal.problem),
    }
}

/// The settings in order with their lines, those without a value as `None`.
fn settings(source: &str) -> Vec<(String, usize, Option<Value>)> {
    let settings = found(source, None).settings.into_iter();
    settings.map(|(name, setting)| (name, setting.line, setting.value.ok())).collect()
}

/// What is listed: line, name, source.
fn problems(source: &str) -> Vec<(usize, Option<String>, Option<String>)> {
    let problems = found(source, None).problems.into_iter();
    problems.map(|problem| (problem.line, problem.name, problem.unread.source)).collect()
}

fn int(value: i128) -> Option<Value> {
    Some(Value::Int(value))
}

fn row(name: &str, line: usize, value: Option<Value>) -> (String, usize, Option<Value>) {
    (name.into(), line, value)
}

#[test]
fn upper_case_names_of_the_module_are_settings() {
    let source = "\u{feff}\
        import os\n\
        A = 1; b = 2; C: int = b\n\
        D = E = A + b\n\
        _F1 = 5\n\
        Mixed = 6\n\
        G = (\n  1,  # one\n  2)[0]\n\
        H = 8";
    let expected = [
        row("A", 2, int(1)),
        row("C", 2, int(2)),
        row("D", 3, int(3)),
        row("E", 3, int(3)),
        row("_F1", 4, int(5)),
        row("G", 6, None),
        row("H", 9, int(8)),
    ];
    assert_eq!(settings(source), expected);
    assert!(problems(source).is_empty());
}

#[test]
fn the_last_assignment_counts_whether_it_can_be_read_or_not() {
    for (source, value) in [
        ("A = 1\nA = 2", int(2)),
        ("A = f()\nA = 2", int(2)),
        ("A = 1\nA = f()", None),
        ("A = 1\nA += 1", None),
        ("A = 1\nA, B = 1, 2", None),
        ("A = 1\nb = A\nb = f()\nA = b", None),
        ("a = 1\nif x:\n    a = 2\nA = a", None),
    ] {
        let last = settings(source).into_iter().find(|(name, ..)| name == "A");
        assert_eq!(last.and_then(|(.., value)| value), value, "{source}");
    }
}

#[test]
fn the_only_class_counts_over_the_module() {
    let source = "\
        SESSION_COOKIE_NAME = 'module'\n\
        APPLICATION_ROOT = '/app'\n\
        class Colour:\n    RED = 1\n\
        class Config(object):\n    \
            \"\"\"SECRET_KEY = 'in the docstring'\"\"\"\n    \
            SESSION_COOKIE_NAME = 'class'; HALF = 5\n    \
            WHOLE = HALF * 2\n\n    \
            @staticmethod\n    \
            def init_app(app):\n        \
                LOCAL = 1\n";
    let text = |text: &str| Some(Value::Text(text.into()));
    let expected = [
        row("SESSION_COOKIE_NAME", 7, text("class")),
        row("APPLICATION_ROOT", 2, text("/app")),
        row("HALF", 7, int(5)),
        row("WHOLE", 8, int(10)),
    ];
    assert_eq!(settings(source), expected);
}

#[test]
fn of_several_classes_one_has_to_be_chosen() {
    let source = "\
        class Base:\n    MAX_COOKIE_SIZE = 1\n    SESSION_ID_LENGTH = 16\n\
        class Left(Base): MAX_COOKIE_SIZE = 2\n\
        class Right(Base):\n    MAX_COOKIE_SIZE = 3\n    SESSION_ID_LENGTH = 33\n\
        class Both(Left, Right): pass\n\
        class Far(other.Config, metaclass=M): pass\n";
    let refusal = read(source, None).err().unwrap();
    assert!(refusal.problem.contains("(Base, Left, Right, Both)"), "{}", refusal.problem);
    assert!(refusal.problem.contains("--flask-class"), "{}", refusal.problem);
    let refusal = read(source, Some("Nobody")).err().unwrap();
    assert!(refusal.problem.contains("no class Nobody"), "{}", refusal.problem);
    for (class, size, length) in
        [("Base", 1, 16), ("Left", 2, 16), ("Right", 3, 33), ("Both", 2, 33)]
    {
        let settings = found(source, Some(class)).settings;
        assert_eq!(settings["MAX_COOKIE_SIZE"].value.clone().ok(), int(size), "{class}");
        assert_eq!(settings["SESSION_ID_LENGTH"].value.clone().ok(), int(length), "{class}");
    }
    let far = found(source, Some("Far"));
    assert!(far.settings.is_empty());
    assert_eq!(far.problems[0].unread.source.as_deref(), Some("class Far(Config)"));
}

#[test]
fn a_class_that_takes_a_setting_from_elsewhere_hides_what_it_inherits() {
    let source = "\
        class Base:\n    SECRET_KEY = 'dev'\n\
        class Production(Base):\n    SECRET_KEY = os.environ['SECRET_KEY']\n";
    let settings = found(source, Some("Production")).settings;
    let Err(unread) = &settings["SECRET_KEY"].value else { panic!() };
    assert_eq!((unread.why, unread.source.as_deref()), ("is taken from the environment", None));
}

#[test]
fn what_is_done_to_the_application_counts_over_all() {
    let source = "\
        app = Flask(__name__)\n\
        A = 0\n\
        app.config['A'] = 1\n\
        app.config.update(B=2, C=f(1, 2), **more)\n\
        app.config.from_mapping({'D': 4, \"e\": 5}, F=(6))\n\
        app.config.update(dict(G=7))\n\
        app.config.from_object(__name__)\n\
        app.config.from_prefixed_env()\n\
        app.secret_key = b'key'\n\
        app.permanent_session_lifetime = timedelta(days=1)\n\
        app.route('/')(view)\n";
    let expected = [
        row("A", 3, int(1)),
        row("B", 4, int(2)),
        row("C", 4, None),
        row("D", 5, int(4)),
        row("F", 5, int(6)),
        row("G", 6, int(7)),
        row("SECRET_KEY", 9, Some(Value::Bytes(b"key".to_vec()))),
        row("PERMANENT_SESSION_LIFETIME", 10, Some(Value::Span(86_400_000_000))),
    ];
    assert_eq!(settings(source), expected);
    assert_eq!(problems(source), [(4, None, Some("**more".into()))]);
}

#[test]
fn the_factory_and_the_main_block_are_the_applications() {
    let source = "\
        def create_app(test_config=None):\n    \
            app = Flask(__name__)\n    \
            LOCAL = 16\n    \
            app.config.from_mapping(SESSION_ID_LENGTH=LOCAL)\n    \
            if test_config:\n        \
                app.config.from_mapping(test_config)\n    \
            return app\n\
        def other():\n    \
            app.config['MAX_COOKIE_SIZE'] = LOCAL = 1\n\
        if __name__ == '__main__':\n    \
            app.config['MAX_CONTENT_LENGTH'] = 1\n\
        if __name__ != '__main__':\n    \
            app.config['APPLICATION_ROOT'] = '/app'\n";
    let expected = [row("SESSION_ID_LENGTH", 4, int(16)), row("MAX_CONTENT_LENGTH", 11, int(1))];
    assert_eq!(settings(source), expected);
    let listed: Vec<_> = problems(source).into_iter().map(|(line, name, _)| (line, name)).collect();
    let expected =
        [(6, None), (9, Some("MAX_COOKIE_SIZE".into())), (13, Some("APPLICATION_ROOT".into()))];
    assert_eq!(listed, expected);
}

#[test]
fn what_may_set_more_is_listed() {
    for (source, line, name, shown) in [
        ("if x: A = 1", 1, Some("A"), Some("A = 1")),
        ("if x:\n  y\nelse:\n  A = 'text'", 4, Some("A"), Some("A = '…'")),
        ("while x:\n  if y: A = f(1) # comment", 2, Some("A"), Some("A = f(1)")),
        ("match x:\n  case 1:\n    A = 1", 3, Some("A"), Some("A = 1")),
        ("from other import *", 1, None, Some("from other import *")),
        (
            "from other import SESSION_TYPE",
            1,
            Some("SESSION_TYPE"),
            Some("from other import SESSION_TYPE"),
        ),
        ("app.config.from_pyfile('x.cfg')", 1, None, Some("app.config.from_pyfile('x.cfg')")),
        ("app.config.from_object('x.Y')", 1, None, Some("app.config.from_object('x.Y')")),
        (
            "if x: app.config.from_mapping(A='text')",
            1,
            None,
            Some("app.config.from_mapping(A='…')"),
        ),
        ("app.config.setdefault('A', 1)", 1, None, Some("app.config.setdefault('…', 1)")),
        ("A $ 1", 1, None, Some("A $ 1")),
        ("x = 1\n  A = 1", 2, None, Some("A = 1")),
        ("if x: SECRET_KEY = 'dev'", 1, Some("SECRET_KEY"), None),
        ("if x: A = 'redis://:hush@h'", 1, Some("A"), None),
    ] {
        let expected = (line, name.map(str::to_owned), shown.map(str::to_owned));
        assert_eq!(problems(source), [expected], "{source}");
    }
    for source in
        ["import os\nfrom x import y, Z", "@app.route('/')\ndef f(): A = 1", "f(A=1)", "print('A')"]
    {
        assert!(problems(source).is_empty() && settings(source).is_empty(), "{source}");
    }
}

#[test]
fn a_source_is_shown_short_and_in_one_line() {
    let source = format!("if x: A = f(\n\t1, # hush\n{})", "1, ".repeat(1000));
    let (_, _, shown) = problems(&source).remove(0);
    let shown = shown.unwrap();
    assert!(shown.starts_with("A = f( 1, 1, 1,") && shown.ends_with('…'), "{shown}");
    assert!(shown.chars().count() <= MAX_SHOWN + 1, "{shown}");
}

#[test]
fn a_client_is_taken_for_the_settings_that_want_one() {
    let source = "\
        client = redis.Redis(host='h')\n\
        SESSION_REDIS = client\n\
        SECRET_KEY = vault.from_url('https://vault')\n\
        A = [client]";
    let expected = [
        row("SESSION_REDIS", 2, Some(Value::Client("redis://h:6379/0".into()))),
        row("SECRET_KEY", 3, None),
        row("A", 4, None),
    ];
    assert_eq!(settings(source), expected);
}

#[test]
fn an_unclosed_string_or_bracket_is_refused_by_its_line() {
    for (source, line) in [("A = 1\nB = 'x", 2), ("A = (1,\n2", 1), ("\"\"\"\nA = 1", 1)] {
        assert_eq!(read(source, None).err().unwrap().line, Some(line), "{source}");
    }
}

#[test]
fn what_grows_stays_bounded() {
    let doubling: String = (1..200).map(|i| format!("A{i} = [A{0}, A{0}]\n", i - 1)).collect();
    let nesting: String = (1..5000).map(|i| format!("A{i} = [A{0}]\n", i - 1)).collect();
    let chain = format!("{}[{}]", "A = ".repeat(100_000), "1, ".repeat(100_000));
    let names = format!("if x: {}1", "A, ".repeat(100_000) + "A = ");
    let classes: String =
        (0..900).map(|i| format!("class C{i}(C{0}, object): SECRET_KEY = 'k'\n", i - 1)).collect();
    for source in [format!("A0 = [1]\n{doubling}"), format!("A0 = [1]\n{nesting}"), chain, names] {
        let found = found(&source, None);
        let sizes = found.settings.values().filter_map(|setting| setting.value.as_ref().ok());
        assert!(sizes.map(|value| value.size().0).sum::<usize>() < 1 << 23);
        assert!(found.problems.len() <= 100);
    }
    assert!(found(&classes, Some("C899")).settings.contains_key("SECRET_KEY"));
    assert!(read(&format!("{classes}{classes}"), None).is_err());
}

/// Text made of what Python files are made of.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "A",
        "SECRET_KEY",
        "x",
        " ",
        "  ",
        "\n",
        "\n    ",
        "\r\n",
        "\t",
        "=",
        ":",
        ",",
        ".",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'",
        "\"",
        "'''",
        "\"\"\"",
        "\\",
        "\\\n",
        "#",
        "1",
        "0x",
        "1e9",
        "**",
        "*",
        "-",
        "not ",
        "f'",
        "rb'",
        "{x!r:>",
        "class C(",
        "class C:",
        "def create_app():",
        "if ",
        "if x:",
        "else:",
        "app.config",
        "['A']",
        ".update(",
        "timedelta(",
        "days=",
        "redis.from_url(",
        "Redis(host=",
        "True",
        "None",
        "from x import *",
        ";",
        "@",
        "é",
        "😀",
        "\0",
        "\u{2028}",
        "\\N{",
        "lambda",
        "import",
    ]);
    prop::collection::vec(piece, 0..200).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn arbitrary_text_is_read_or_refused(source in "\\PC*|(?s).*") {
        let _ = read(&source, None);
    }

    #[test]
    fn what_looks_like_python_is_read_or_refused(source in pieces(), class in "[AC]") {
        let _ = read(&source, None);
        let _ = read(&source, Some(&class));
    }

    #[test]
    fn a_text_comes_back_from_any_literal(text in "(?s).*", number in any::<i64>()) {
        let escaped: String = text.chars().map(|c| match c {
            '\\' => "\\\\".into(),
            '\'' => "\\'".into(),
            c if c == '\n' || c == '\r' || u32::from(c) % 3 == 0 => format!("\\U{:08x}", u32::from(c)),
            c => c.to_string(),
        }).collect();
        let source = format!("A = '{escaped}'\nB = {number}\nC = '''{escaped}'''");
        let (a, c) = (row("A", 1, Some(Value::Text(text.clone()))), row("C", 3, Some(Value::Text(text))));
        prop_assert_eq!(settings(&source), [a, row("B", 2, int(number.into())), c]);
    }
}
