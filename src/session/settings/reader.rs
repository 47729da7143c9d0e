//! Typed reading of single settings, collecting every problem instead of stopping at the first.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::providers::Serialized;
use figment::value::magic::RelativePathBuf;
use figment::value::{Dict, Num, Value};
use figment::{Figment, Source};

use super::env::FlaskEnv;
use super::{duration, elsewhere, keys};

/// Where a setting's value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the default holds.
    Default,
    /// A file, and the line when it can be told.
    File(PathBuf, Option<usize>),
    /// An environment variable, a credential or code, in words.
    Other(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path, Some(line)) => write!(formatter, "{}:{line}", path.display()),
            Self::File(path, None) => write!(formatter, "{}", path.display()),
            Self::Other(words) => formatter.write_str(words),
        }
    }
}

/// Every problem found in the settings, one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct SettingsError {
    /// Each with its origin, its key and the remedy.
    pub problems: Vec<String>,
}

/// Reads upper-case settings from a figment's selected profile.
pub struct Reader {
    figment: Figment,
    env: FlaskEnv,
    problems: Vec<String>,
}

impl Reader {
    /// A reader of `figment` with the [`FlaskEnv`] of this process over it.
    pub fn new(figment: &Figment) -> Self {
        let env = FlaskEnv::from_process();
        let figment = figment.clone().merge(env.clone());
        let problems = match figment.extract::<Dict>() {
            Ok(_) => Vec::new(),
            Err(error) => error.into_iter().map(|error| without_excerpt(&error)).collect(),
        };
        Self { figment, env, problems }
    }

    /// A reader of the same settings with `overrides` over them, which this layer has to know.
    pub(super) fn with(&self, overrides: Dict) -> Self {
        let mut figment = self.figment.clone();
        let unknown = overrides.keys().filter(|name| !keys().any(|(known, _)| known == name));
        let problems = unknown.map(|name| format!("{name} is not a setting of sessions")).collect();
        let none = (elsewhere::MIGRATE_FROM.to_owned(), Value::from(""));
        for (key, value) in overrides.into_iter().chain([none]) {
            figment = figment.merge(Serialized::global(&key, value));
        }
        Self { figment, env: self.env.clone(), problems }
    }

    /// The settings as they are read here, environment included.
    pub fn figment(&self) -> &Figment {
        &self.figment
    }

    /// All upper-case names that are set.
    pub fn names(&self) -> Vec<String> {
        self.all_names().filter(|name| is_upper_case(name)).collect()
    }

    fn all_names(&self) -> impl Iterator<Item = String> + use<> {
        self.figment.extract::<Dict>().unwrap_or_default().into_keys()
    }

    /// Notes each set name that is nearly, but not quite, one of `known`.
    pub fn refuse_misspelt<'k>(&mut self, known: impl Iterator<Item = &'k str> + Clone) {
        for name in self.names() {
            if !known.clone().any(|key| key == name)
                && let Some(near) = nearest(&name, known.clone())
            {
                self.refuse(&name, format!("is not a setting; did you mean {near}?"));
            }
        }
    }

    /// Notes each set name that is none of `known`.
    pub fn refuse_unknown<'k>(&mut self, known: impl Iterator<Item = &'k str> + Clone) {
        self.refuse_misspelt(known.clone());
        for name in self.names() {
            if !known.clone().any(|key| key == name) && nearest(&name, known.clone()).is_none() {
                self.refuse(&name, "is not a setting; `dewar check` lists those there are");
            }
        }
    }

    /// Notes each name in lower case that is nearly one of `known` or of `rocket`, the program's
    /// settings that are in lower case.
    pub fn refuse_lower_case<'k>(
        &mut self,
        known: impl Iterator<Item = &'k str> + Clone,
        rocket: &[&'k str],
    ) {
        let names = self.all_names().filter(|name| !is_upper_case(name));
        for name in names.filter(|name| !rocket.contains(&&**name)).collect::<Vec<_>>() {
            let upper = nearest(&name.to_uppercase(), known.clone());
            if let Some(near) = upper.or_else(|| nearest(&name, rocket.iter().copied())) {
                self.refuse(&name, format!("is not a setting; did you mean {near}?"));
            } else if let Some(Value::Dict(..)) = self.value(&name) {
                self.refuse(&name, "is a table that nothing reads; settings stand in [default]");
            }
        }
    }

    /// Notes a problem with `key`: "must be …" or "is …".
    pub fn refuse(&mut self, key: &str, problem: impl fmt::Display) {
        let origin = match self.origin(key) {
            Origin::Default => String::new(),
            origin => format!("{origin}: "),
        };
        self.problems.push(format!("{origin}{key} {problem}"));
    }

    /// `settings` when no problem was noted.
    ///
    /// # Errors
    /// All problems noted.
    pub fn finish<T>(self, settings: T) -> Result<T, SettingsError> {
        match self.problems.is_empty() {
            true => Ok(settings),
            false => Err(SettingsError { problems: self.problems }),
        }
    }

    /// Where `key` was set.
    pub fn origin(&self, key: &str) -> Origin {
        let Some(metadata) = self.figment.find_metadata(key) else {
            return Origin::Default;
        };
        match &metadata.source {
            Some(Source::File(path)) => Origin::File(path.clone(), line_of(path, key)),
            _ if metadata.name == FlaskEnv::NAME => Origin::Other(self.env.origin(key)),
            _ => Origin::Other(metadata.name.to_string()),
        }
    }

    /// The files that the settings come from.
    #[cfg(feature = "app")]
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let sources = self.figment.metadata().filter_map(|metadata| match &metadata.source {
            Some(Source::File(path)) => Some(path.clone()),
            _ => None,
        });
        sources.collect()
    }

    /// The files that hold a secret's value alone, under the settings' names.
    #[cfg(feature = "app")]
    pub(crate) fn secret_files(&self) -> Vec<(String, PathBuf)> {
        let secret = |(key, _): &(String, PathBuf)| super::SECRETS.contains(&&**key);
        self.env.files().filter(secret).collect()
    }

    /// The raw value of `key`.
    pub fn value(&self, key: &str) -> Option<Value> {
        self.figment.find_value(key).ok().filter(|value| !matches!(value, Value::Empty(..)))
    }

    /// A text.
    pub fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(_, text) => Some(text),
            Value::Char(_, c) => Some(c.into()),
            _ => {
                self.refuse(key, "must be text, in quotes");
                None
            }
        }
    }

    /// A list of texts; a single text is refused, as it is easily meant as a list.
    pub fn list(&mut self, key: &str) -> Option<Vec<String>> {
        let texts = match self.value(key)? {
            Value::Array(_, items) => items.into_iter().map(Value::into_string).collect(),
            _ => None,
        };
        if texts.is_none() {
            self.refuse(key, "must be a list of texts, such as [\"one\", \"two\"]");
        }
        texts
    }

    /// A table from text to text, sorted.
    pub fn table(&mut self, key: &str) -> Option<Vec<(String, String)>> {
        let texts = match self.value(key)? {
            Value::Dict(_, entries) => entries
                .into_iter()
                .map(|(name, value)| Some((name, value.into_string()?)))
                .collect(),
            _ => None,
        };
        if texts.is_none() {
            self.refuse(key, "must be a table of texts, such as { Unknown = \"male\" }");
        }
        texts
    }

    /// A boolean; `1`, `0` and the words in any case will do, as variables hold them.
    pub fn bool(&mut self, key: &str) -> Option<bool> {
        let parsed = match self.value(key)? {
            Value::Bool(_, value) => Some(value),
            Value::Num(_, number) => match whole(number) {
                Some(1) => Some(true),
                Some(0) => Some(false),
                _ => None,
            },
            Value::String(_, text) => match text.to_lowercase().as_str() {
                "true" | "yes" | "on" => Some(true),
                "false" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if parsed.is_none() {
            self.refuse(key, "must be true or false");
        }
        parsed
    }

    /// A whole number that is not negative.
    pub fn integer(&mut self, key: &str) -> Option<u64> {
        let parsed = match self.value(key)? {
            Value::Num(_, number) => whole(number).and_then(|number| u64::try_from(number).ok()),
            _ => None,
        };
        if parsed.is_none() {
            self.refuse(key, "must be a whole number, 0 or more");
        }
        parsed
    }

    /// A span of time: seconds, or text such as `"31 days"` or `"1 h 30 min"`.
    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        let parsed = match self.value(key)? {
            Value::Num(_, Num::F32(seconds)) => Duration::try_from_secs_f32(seconds).ok(),
            Value::Num(_, Num::F64(seconds)) => Duration::try_from_secs_f64(seconds).ok(),
            Value::Num(_, number) => whole(number)
                .and_then(|seconds| u32::try_from(seconds).ok())
                .map(|seconds| Duration::from_secs(seconds.into())),
            Value::String(_, text) => duration::parse(&text),
            _ => None,
        };
        if parsed.is_none() {
            self.refuse(key, "must be seconds, or text such as \"31 days\" or \"1 h 30 min\"");
        }
        parsed
    }

    /// A directory that is there.
    pub fn directory(&mut self, key: &str) -> Option<PathBuf> {
        let dir = self.path(key)?;
        if !dir.is_dir() {
            self.refuse(key, format!("is {:?}, which is no directory", dir.display().to_string()));
        }
        Some(dir)
    }

    /// A path; when a file sets it, relative to that file.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        let text = self.text(key)?;
        if text.is_empty() || text.contains('\0') {
            self.refuse(key, "must be the path of a file");
            return None;
        }
        let path = self.figment.extract_inner::<RelativePathBuf>(key);
        Some(path.map_or_else(|_| PathBuf::from(text), |path| path.relative()))
    }
}

fn is_upper_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && !name.contains(|c: char| c.is_ascii_lowercase())
}

/// A figment's error without the line of the file that it quotes, in which a secret may stand.
pub(crate) fn without_excerpt(error: &figment::Error) -> String {
    let quoted = |line: &str| {
        line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|')
    };
    let text = error.to_string();
    text.lines().filter(|line| !quoted(line)).collect::<Vec<_>>().join("\n")
}

/// A whole number of either sign, as files and variables give it in types of their own.
fn whole(number: Num) -> Option<i128> {
    number.to_i128().or_else(|| number.to_u128()?.try_into().ok())
}

/// The known name with the fewest differing letters, if those are few.
fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|key| (strsim::damerau_levenshtein(name, key), key))
        .filter(|(distance, key)| *distance <= 1 + key.len() / 6)
        .min()
        .map(|(_, key)| key)
}

/// The first line of a TOML file that assigns `key`.
fn line_of(path: &Path, key: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    let assigns = |line: &str| {
        let line = line.trim_start().trim_start_matches(['"', '\'', '[']);
        line.strip_prefix(key).or_else(|| line.split_once('.')?.1.strip_prefix(key)).is_some_and(
            |rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(['=', '.', ']']),
        )
    };
    text.lines().position(assigns).map(|index| index + 1)
}
