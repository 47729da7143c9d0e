//! The shapes of statements that set something: assignments, and calls on `app.config`.

use super::token::{Kind, Token};

/// What an assignment sets.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub enum Target<'s> {
    /// A name.
    Name(&'s str),
    /// `app.config["NAME"]`, its literal, or the attribute of the application that stands for it.
    Config(&'s str),
    /// Several names at once.
    Names(Vec<&'s str>),
    /// Something that is no setting.
    Other,
}

/// An assignment.
#[cfg_attr(test, derive(Debug))]
pub struct Assignment<'t, 's> {
    /// What it sets, more than one when it is chained.
    pub targets: Vec<Target<'s>>,
    /// The value's tokens.
    pub value: &'t [Token<'s>],
    /// Whether it sets, rather than changes as `+=` does.
    pub plain: bool,
}

/// Reads a statement as an assignment.
pub fn assignment<'t, 's>(statement: &'t [Token<'s>]) -> Option<Assignment<'t, 's>> {
    const AUGMENTED: &[&str] =
        &["+=", "-=", "*=", "/=", "//=", "%=", "**=", "&=", "|=", "^=", ">>=", "<<=", "@="];
    let mut parts = split(statement, |token| token.is("="));
    let value = parts.pop()?;
    if let [first, ..] = &mut parts[..] {
        // `NAME: type = value`
        *first = split(first, |token| token.is(":")).first().copied()?;
        let targets = parts.into_iter().map(target).collect();
        return Some(Assignment { targets, value, plain: true });
    }
    let changed = split(value, |token| AUGMENTED.iter().any(|op| token.is(op)));
    match changed[..] {
        [changed, value] => {
            Some(Assignment { targets: vec![target(changed)], value, plain: false })
        }
        _ => None,
    }
}

fn target<'s>(tokens: &[Token<'s>]) -> Target<'s> {
    if let [token] = tokens
        && token.kind == Kind::Name
    {
        return Target::Name(token.text);
    }
    if tokens
        .iter()
        .all(|t| t.kind == Kind::Name || [",", "(", ")", "[", "]", "*"].contains(&t.text))
        && tokens.iter().any(|token| token.is(","))
    {
        let names = tokens.iter().filter(|token| token.kind == Kind::Name);
        return Target::Names(names.map(|token| token.text).collect());
    }
    match path(tokens) {
        Some((names, [open, key, close]))
            if names.len() > 1
                && names.last() == Some(&"config")
                && open.is("[")
                && key.kind == Kind::Text
                && close.is("]") =>
        {
            Target::Config(key.text)
        }
        Some((names, [])) => match names[..] {
            [_, .., "secret_key"] => Target::Config("'SECRET_KEY'"),
            [_, .., "permanent_session_lifetime"] => Target::Config("'PERMANENT_SESSION_LIFETIME'"),
            _ => Target::Other,
        },
        _ => Target::Other,
    }
}

/// A call of a method of `app.config`: its name and arguments.
pub fn config_call<'t, 's>(statement: &'t [Token<'s>]) -> Option<(&'s str, Vec<&'t [Token<'s>]>)> {
    let (names, rest) = path(statement)?;
    match names[..] {
        [_, .., "config", method] => Some((method, arguments(rest)?)),
        _ => None,
    }
}

/// A dotted path of names that `tokens` begin with, and what follows it.
pub fn path<'t, 's>(tokens: &'t [Token<'s>]) -> Option<(Vec<&'s str>, &'t [Token<'s>])> {
    let mut names = Vec::new();
    let mut rest = tokens;
    loop {
        let (name, behind) = rest.split_first().filter(|(name, _)| name.kind == Kind::Name)?;
        names.push(name.text);
        rest = behind;
        match rest.split_first() {
            Some((dot, behind)) if dot.is(".") => rest = behind,
            _ => return Some((names, rest)),
        }
    }
}

/// The arguments in brackets that are all of `tokens`.
pub fn arguments<'t, 's>(tokens: &'t [Token<'s>]) -> Option<Vec<&'t [Token<'s>]>> {
    let [open, inside @ .., close] = tokens else { return None };
    // The bracket that is closed at the end is the first one.
    let mut depth = 1_isize;
    let enclosed = inside.iter().all(|token| {
        depth += token.opens();
        depth > 0
    });
    if !(open.is("(") || open.is("{")) || close.opens() != -1 || !enclosed {
        return None;
    }
    let mut arguments = split(inside, |token| token.is(","));
    // Nothing, or a comma at the end.
    arguments.pop_if(|last| last.is_empty());
    Some(arguments)
}

/// Takes tokens apart at those that match and stand in no bracket.
pub fn split<'t, 's>(
    tokens: &'t [Token<'s>],
    mut at: impl FnMut(&Token<'s>) -> bool,
) -> Vec<&'t [Token<'s>]> {
    let mut depth = 0_isize;
    tokens
        .split(|token| {
            depth += token.opens();
            depth == 0 && at(token)
        })
        .collect()
}

/// What follows the colon of a block's first line.
pub fn behind_colon<'t, 's>(header: &'t [Token<'s>]) -> &'t [Token<'s>] {
    let mut depth = 0_isize;
    let colon = header.iter().position(|token| {
        depth += token.opens();
        depth == 0 && token.is(":")
    });
    colon.and_then(|colon| header.get(colon + 1..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::token::tokenize;
    use super::*;

    #[test]
    fn assignments_are_recognised() {
        let config = |name| vec![Target::Config(name)];
        for (source, targets, plain) in [
            ("A = 1", vec![Target::Name("A")], true),
            ("A: dict[str, int] = {'a': 1}", vec![Target::Name("A")], true),
            ("A = b = f(c=1)", vec![Target::Name("A"), Target::Name("b")], true),
            ("A += 1", vec![Target::Name("A")], false),
            ("(A, *b) = 1, 2", vec![Target::Names(vec!["A", "b"])], true),
            ("app.config['A'] = 1", config("'A'"), true),
            ("self.app.config['A'] |= 1", config("'A'"), false),
            ("app.secret_key = 'x'", config("'SECRET_KEY'"), true),
            ("config['A'] = 1", vec![Target::Other], true),
            ("app.config['A']['b'] = 1", vec![Target::Other], true),
            ("secret_key.x = 1", vec![Target::Other], true),
        ] {
            let tokens = tokenize(source).unwrap().all;
            let found = assignment(&tokens).unwrap();
            assert_eq!((found.targets, found.plain), (targets, plain), "{source}");
        }
        for source in ["f(a=1)", "A == 1", "A: int", "A", "(A := 1)"] {
            assert!(assignment(&tokenize(source).unwrap().all).is_none(), "{source}");
        }
    }

    #[test]
    fn calls_on_the_configuration_are_taken_apart() {
        let tokens = tokenize("app.config.update(A=1, B=f(2, 3), )").unwrap().all;
        let (method, arguments) = config_call(&tokens).unwrap();
        assert_eq!((method, arguments.len()), ("update", 2));
        assert_eq!(arguments.last().map(|argument| argument.len()), Some(8));
        for source in [
            "config.update()",
            "app.config.update",
            "app.config.f()()",
            "app.config.f(",
            "f().config.f()",
        ] {
            if let Ok(tokens) = tokenize(source) {
                assert!(config_call(&tokens.all).is_none(), "{source}");
            }
        }
    }
}
