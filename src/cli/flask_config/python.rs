//! The settings in a Python file, read and never run.
//!
//! Read are the assignments of upper-case names in the module and in one class with what that
//! inherits, and what the module, its `create_app` or its `if __name__ == "__main__":` does to
//! `app.config`. Where a setting has no literal value, or is set under a condition, it is listed;
//! imports, functions and whatever else sets nothing is passed over.

mod class;
mod client;
mod literal;
mod number;
mod scope;
mod shown;
mod statement;
mod text;
mod token;

use self::class::Classes;
use self::scope::Scope;
use self::shown::shown;
use self::statement::{Target, arguments, assignment, behind_colon, config_call, path, split};
use self::token::{Kind, Line, Token, Tokens, tokenize};
use super::value::Value;
use super::{Found, Problem, Refusal, Unread, is_known, is_setting};

/// Larger values are no setting of Dewar's: values and bytes of text.
const MAX_VALUE: usize = 1 << 16;
/// Names in one chained assignment.
const MAX_TARGETS: usize = 8;

/// What `source` sets: the module, then the class, then what is done to `app.config`, each over
/// the one before.
///
/// # Errors
/// When a string or bracket is not closed, or it is not clear which class is meant.
pub fn read(source: &str, class: Option<&str>) -> Result<Found, Refusal> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let tokens = tokenize(source)
        .map_err(|error| Refusal { line: Some(error.line), problem: error.to_string() })?;
    let mut reader = Reader {
        source,
        tokens: &tokens,
        scope: Scope::default(),
        module: Found::default(),
        application: Found::default(),
        class: Found::default(),
        classes: Classes::default(),
    };
    reader.block(&tokens.lines, Place::Module);
    let class = reader.classes.choose(class).map_err(|problem| Refusal { line: None, problem })?;
    let mut found = reader.module;
    found.add(&class);
    found.add(&reader.application);
    Ok(found)
}

/// Whose statements are read, and so what their names mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The module: upper-case names are settings.
    Module,
    /// A class: likewise, if it is the one chosen.
    Class,
    /// What builds or runs the application: names are its own, `app.config` counts.
    Application,
    /// A function that may never be called.
    Function,
}

struct Reader<'s> {
    source: &'s str,
    tokens: &'s Tokens<'s>,
    scope: Scope,
    module: Found,
    application: Found,
    /// The class being read.
    class: Found,
    classes: Classes<'s>,
}

impl<'s> Reader<'s> {
    fn line(&self, line: &Line) -> &'s [Token<'s>] {
        self.tokens.all.get(line.tokens.clone()).unwrap_or_default()
    }

    fn block(&mut self, lines: &[Line], place: Place) {
        let mut rest = lines;
        while let Some((line, behind)) = rest.split_first() {
            let body = behind.iter().take_while(|inner| inner.level > line.level).count();
            let (body, behind) = behind.split_at(body);
            self.compound(self.line(line), body, place);
            rest = behind;
        }
    }

    /// A logical line and the block under it, if there is one.
    fn compound(&mut self, header: &'s [Token<'s>], body: &[Line], place: Place) {
        let word = |at: usize| header.get(at).filter(|t| t.kind == Kind::Name).map(|t| t.text);
        match (word(0).unwrap_or_default(), place) {
            ("class", Place::Module) => self.class(header, body),
            ("def", Place::Module) => {
                let place = match word(1) {
                    // The names that Flask's own command looks for.
                    Some("create_app" | "make_app") => Place::Application,
                    _ => Place::Function,
                };
                self.scope.enter();
                self.within(header, body, place);
                self.scope.leave();
            }
            ("class" | "def" | "async", _) => self.conditional(header, body, Place::Function),
            ("if", Place::Module)
                if word(1) == Some("__name__") && header.get(2).is_some_and(|t| t.is("==")) =>
            {
                self.within(header, body, Place::Application);
            }
            ("with", _) => self.within(header, body, place),
            (word, _) if is_block(word, header) => self.conditional(header, body, place),
            _ if header.first().is_some_and(|token| token.is("@")) => {}
            _ => {
                self.simple(header, place);
                if let Some(line) = body.first() {
                    self.problem(place, None, self.line(line), "is indented under nothing");
                }
            }
        }
    }

    fn within(&mut self, header: &'s [Token<'s>], body: &[Line], place: Place) {
        if place == Place::Function {
            return self.conditional(header, body, place);
        }
        self.simple(behind_colon(header), place);
        self.block(body, place);
    }

    /// A block that may not run, or more than once: what it sets is listed.
    fn conditional(&mut self, header: &'s [Token<'s>], body: &[Line], place: Place) {
        let why = match place {
            Place::Function => "is set in a function",
            _ => "is set under a condition",
        };
        self.unread(behind_colon(header), place, why);
        for line in body {
            let tokens = self.line(line);
            let word = tokens.first().map_or("", |token| token.text);
            let opens = is_block(word, tokens) || ["with", "def", "class", "async"].contains(&word);
            self.unread(if opens { behind_colon(tokens) } else { tokens }, place, why);
        }
    }

    fn class(&mut self, header: &'s [Token<'s>], body: &[Line]) {
        let Some([name, inherited @ ..]) = header.get(1..) else { return };
        let end = inherited.iter().rposition(|token| token.is(")")).map_or(0, |end| end + 1);
        let bases = arguments(inherited.get(..end).unwrap_or_default()).unwrap_or_default();
        let bases = bases.into_iter().filter_map(|base| match path(base)? {
            (names, []) => Some(names),
            _ => None,
        });
        self.class = Found::default();
        self.scope.enter();
        self.within(header, body, Place::Class);
        self.scope.leave();
        let found = std::mem::take(&mut self.class);
        self.classes.add(name, bases, found);
    }

    /// Statements on one line.
    fn simple(&mut self, tokens: &'s [Token<'s>], place: Place) {
        for statement in split(tokens, |token| token.is(";")) {
            let Some(first) = statement.first() else { continue };
            if let Some(assignment) = assignment(statement) {
                let one = assignment.plain
                    && assignment.targets.len() <= MAX_TARGETS
                    && !assignment.targets.iter().any(|t| matches!(t, Target::Names(_)));
                let value = match one {
                    true => self.value(assignment.value, statement),
                    false => Err(self.no_value("is not a plain assignment", statement)),
                };
                for target in &assignment.targets {
                    self.set(target, first.line, &value, place);
                }
            } else if let Some((method, arguments)) = config_call(statement) {
                self.call(method, &arguments, statement);
            } else if ["from", "import"].contains(&first.text) {
                self.unread(statement, place, "is set in another file");
            } else if statement.iter().any(|token| token.kind == Kind::Bad) {
                self.problem(place, None, statement, "is no Python");
            }
        }
    }

    fn set(
        &mut self,
        target: &Target<'s>,
        line: usize,
        value: &Result<Value, Unread>,
        place: Place,
    ) {
        let names = match target {
            Target::Name(name) => std::slice::from_ref(name),
            Target::Names(names) => names,
            Target::Config(literal) => {
                if let Ok(text::Text::Str(name)) = text::read(literal) {
                    self.application.set(&name, line, value.clone());
                }
                return;
            }
            Target::Other => return,
        };
        for name in names {
            self.scope.set(name, value.as_ref().ok());
            if matches!(place, Place::Module | Place::Class) {
                self.found(place).set(name, line, value.clone());
            }
        }
    }

    /// What is done with `app.config`.
    fn call(&mut self, method: &str, arguments: &[&'s [Token<'s>]], statement: &'s [Token<'s>]) {
        match (method, arguments) {
            ("update" | "from_mapping", arguments) => {
                for argument in arguments {
                    self.pairs(argument);
                }
            }
            // The module itself, and classes, are read already; Dewar reads the variables itself.
            ("from_prefixed_env", _) => {}
            ("from_object", [[object] | [object, _, _]])
                if object.is_name("__name__") || self.classes.has(object.text) => {}
            ("from_object" | "from_pyfile" | "from_file" | "from_envvar", _) => {
                let why = "reads settings from another place, which is not looked into";
                self.problem(Place::Application, None, statement, why);
            }
            ("setdefault" | "pop" | "clear", _) => {
                self.problem(Place::Application, None, statement, "is not an assignment");
            }
            _ => {}
        }
    }

    /// `NAME=value`, or a dictionary of such, as `app.config.update` takes them.
    fn pairs(&mut self, argument: &'s [Token<'s>]) {
        let dict = match argument {
            [dict, inside @ ..] if dict.is_name("dict") => inside,
            _ => argument,
        };
        if let Some(pairs) = arguments(dict) {
            for pair in pairs {
                match &split(pair, |token| token.is(":"))[..] {
                    [[key], value] if key.kind == Kind::Text => {
                        let value = self.value(value, pair);
                        self.set(&Target::Config(key.text), key.line, &value, Place::Application);
                    }
                    _ => self.pairs_by_name(pair),
                }
            }
        } else {
            self.pairs_by_name(argument);
        }
    }

    fn pairs_by_name(&mut self, argument: &'s [Token<'s>]) {
        match argument {
            [name, equals, value @ ..] if name.kind == Kind::Name && equals.is("=") => {
                let value = self.value(value, argument);
                self.application.set(name.text, name.line, value);
            }
            [] => {}
            _ => self.problem(Place::Application, None, argument, "is not an assignment"),
        }
    }

    fn value(&mut self, tokens: &[Token<'s>], statement: &[Token<'s>]) -> Result<Value, Unread> {
        let value = client::client(tokens, &mut self.scope)
            .unwrap_or_else(|| literal::evaluate(tokens, &mut self.scope));
        match value {
            Ok(value) if value.size().0 > MAX_VALUE => {
                Err(self.no_value("is too large a value", statement))
            }
            Ok(value) => Ok(value),
            Err(_) if tokens.iter().any(|t| ["environ", "getenv"].contains(&t.text)) => {
                Err(self.no_value("is taken from the environment", statement))
            }
            Err(why) => Err(self.no_value(why, statement)),
        }
    }

    /// Lists what a statement would set, were it to run, and forgets what was known of it.
    fn unread(&mut self, tokens: &'s [Token<'s>], place: Place, why: &'static str) {
        for statement in split(tokens, |token| token.is(";")) {
            let Some(first) = statement.first() else { continue };
            let mut names = Vec::new();
            if let Some(assignment) = assignment(statement) {
                for target in assignment.targets {
                    match target {
                        Target::Name(name) => names.push(name),
                        Target::Names(more) => names.extend(more),
                        Target::Config(literal) => {
                            if let Ok(text::Text::Str(name)) = text::read(literal) {
                                self.problem(Place::Application, Some(&name), statement, why);
                            }
                        }
                        Target::Other => {}
                    }
                }
            } else if config_call(statement).is_some() {
                self.problem(Place::Application, None, statement, why);
            } else if first.is_name("from") {
                if statement.last().is_some_and(|token| token.is("*")) {
                    self.problem(place, None, statement, "brings what another file sets");
                }
                names.extend(statement.iter().filter(|t| is_known(t.text)).map(|t| t.text));
            }
            for name in names {
                self.scope.set(name, None);
                if is_setting(name) && matches!(place, Place::Module | Place::Class) {
                    self.problem(place, Some(name), statement, why);
                }
            }
        }
    }

    fn found(&mut self, place: Place) -> &mut Found {
        match place {
            Place::Module => &mut self.module,
            Place::Class => &mut self.class,
            Place::Application | Place::Function => &mut self.application,
        }
    }

    fn problem(
        &mut self,
        place: Place,
        name: Option<&str>,
        statement: &[Token<'s>],
        why: &'static str,
    ) {
        let Some(first) = statement.first() else { return };
        let source = self.source;
        self.found(place).problem(|| Problem {
            line: first.line,
            name: name.map(str::to_owned),
            unread: Unread { why, source: shown(statement, source) },
        });
    }

    fn no_value(&self, why: &'static str, statement: &[Token<'s>]) -> Unread {
        Unread { why, source: shown(statement, self.source) }
    }
}

/// Whether a line that begins with `word` is the first of a block that may not run.
fn is_block(word: &str, line: &[Token<'_>]) -> bool {
    match word {
        "if" | "elif" | "else" | "for" | "while" | "try" | "except" | "finally" => true,
        // Names elsewhere.
        "match" | "case" => line.last().is_some_and(|token| token.is(":")),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
