//! The `SESSION_FILE_*` settings.

use std::path::PathBuf;

use figment::value::Value;

use super::Reader;

/// Where and how sessions are kept in files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// `SESSION_FILE_DIR`: the directory, relative to the configuration file.
    pub dir: PathBuf,
    /// `SESSION_FILE_THRESHOLD`: how many files there may be before some are thrown out, those
    /// that expire soonest first; 0 for no limit.
    pub threshold: usize,
    /// `SESSION_FILE_MODE`: the files' permissions.
    pub mode: u32,
    /// `SESSION_FILE_HASH`: how files get their names.
    pub hash: FileHash,
}

/// What names a session's file: a hash of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileHash {
    /// SHA-256, as in cachelib from 0.16 on.
    Sha256,
    /// MD5, as in cachelib before 0.16. The names need not resist anyone: the keys are random.
    Md5,
}

/// Flask-Session throws sessions out beyond 500, live ones too; here none goes unless asked for.
const THRESHOLD: u64 = 0;
const MODE: u32 = 0o600;

pub(super) fn read(reader: &mut Reader) -> FileSettings {
    let threshold = reader.integer("SESSION_FILE_THRESHOLD").unwrap_or(THRESHOLD);
    FileSettings {
        dir: reader.path("SESSION_FILE_DIR").unwrap_or_else(|| "flask_session".into()),
        threshold: usize::try_from(threshold).unwrap_or(usize::MAX),
        mode: read_mode(reader),
        hash: read_hash(reader),
    }
}

/// A number, as in Flask, or text that is read as octal, as `chmod` does.
fn read_mode(reader: &mut Reader) -> u32 {
    const KEY: &str = "SESSION_FILE_MODE";
    let mode = match reader.value(KEY) {
        None => return MODE,
        Some(Value::String(_, text)) => {
            u32::from_str_radix(text.strip_prefix("0o").unwrap_or(&text), 8).ok()
        }
        Some(_) => reader.integer(KEY).and_then(|mode| u32::try_from(mode).ok()),
    };
    match mode {
        Some(mode) if mode <= 0o777 && mode & 0o600 == 0o600 => mode,
        _ => {
            reader.refuse(
                KEY,
                "must let the owner read and write, and be 0o777 at most; write 0o600 or \
                 \"0600\" (a plain 600 is another number)",
            );
            MODE
        }
    }
}

fn read_hash(reader: &mut Reader) -> FileHash {
    match reader.text("SESSION_FILE_HASH").as_deref() {
        None | Some("sha256") => FileHash::Sha256,
        Some("md5") => FileHash::Md5,
        Some(_) => {
            reader.refuse("SESSION_FILE_HASH", "must be \"sha256\" or \"md5\"");
            FileHash::Sha256
        }
    }
}
