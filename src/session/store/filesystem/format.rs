//! One file as cachelib writes it: when it expires, and a pickle.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::session::settings::FileHash;

/// A file of cachelib's `FileSystemCache`.
///
/// Its bytes are the second in which it expires, as 4 bytes in the machine's own order, and the
/// record.
#[derive(Clone, PartialEq, Eq)]
pub struct CacheFile {
    /// The last moment of its life in seconds since 1970; 0 for never.
    pub expiry: u32,
    /// What is stored: a pickle, where Flask-Session shall read it.
    pub record: Vec<u8>,
}

/// Shows the size, never the contents.
impl std::fmt::Debug for CacheFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (expiry, len) = (self.expiry, self.record.len());
        write!(formatter, "CacheFile({len} bytes, expires at {expiry})")
    }
}

impl CacheFile {
    /// A file that lives for `ttl` from `now` on, to the next whole second.
    pub fn new(record: Vec<u8>, now: SystemTime, ttl: Duration) -> Self {
        let end = now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(ttl);
        let seconds = end.as_secs().saturating_add(u64::from(end.subsec_nanos() > 0));
        // 0 would be for ever, and is 1970.
        Self { expiry: u32::try_from(seconds).unwrap_or(u32::MAX).max(1), record }
    }

    /// The file with these bytes; `None` when they are cut off within the first four.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (expiry, record) = bytes.split_first_chunk()?;
        Some(Self { expiry: u32::from_ne_bytes(*expiry), record: record.to_vec() })
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.expiry.to_ne_bytes(), &*self.record].concat()
    }

    /// Whether it has not expired at `now`.
    pub fn is_live(&self, now: SystemTime) -> bool {
        is_live(self.expiry, now)
    }

    /// How long a live file has to live from `now` on; `None` when that is for ever.
    pub fn expires_in(&self, now: SystemTime) -> Option<Duration> {
        let end = UNIX_EPOCH + Duration::from_secs(self.expiry.into());
        (self.expiry != 0).then(|| end.duration_since(now).unwrap_or_default())
    }
}

/// Whether a file with this expiry is live: cachelib takes it through the beginning of that second.
pub fn is_live(expiry: u32, now: SystemTime) -> bool {
    expiry == 0 || now <= UNIX_EPOCH + Duration::from_secs(expiry.into())
}

/// The name of the file for a key: the hash in lower-case hexadecimal.
pub fn file_name(hash: FileHash, key: &str) -> String {
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    match hash {
        FileHash::Sha256 => hex(&Sha256::digest(key)),
        FileHash::Md5 => hex(&Md5::digest(key)),
    }
}

/// Whether a file of this name could be one of a session.
pub fn is_file_name(name: &str) -> bool {
    matches!(name.len(), 32 | 64) && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(seconds)
    }

    fn expiry(now: f64, ttl: f64) -> u32 {
        CacheFile::new(Vec::new(), at(now), Duration::from_secs_f64(ttl)).expiry
    }

    #[test]
    fn a_life_ends_with_the_second_and_never_before_its_time() {
        assert_eq!(expiry(1000.0, 60.0), 1060);
        assert_eq!(expiry(1000.25, 60.0), 1061);
        assert_eq!(expiry(1000.5, 0.5), 1001);
        assert_eq!(expiry(0.0, 0.0), 1, "0 would be for ever");
        assert_eq!(expiry(5e9, 60.0), u32::MAX);
        let file = CacheFile { expiry: 1060, record: Vec::new() };
        assert!(file.is_live(at(1060.0)));
        assert!(!file.is_live(at(1060.001)));
        assert_eq!(file.expires_in(at(1050.5)), Some(Duration::from_millis(9_500)));
        let lasting = CacheFile { expiry: 0, record: Vec::new() };
        assert!(lasting.is_live(at(9e9)));
        assert_eq!(lasting.expires_in(at(0.0)), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let file = CacheFile { expiry: 0x0102_0304, record: b"record".to_vec() };
        assert_eq!(CacheFile::parse(&file.to_bytes()), Some(file));
        assert_eq!(CacheFile::parse(b"\x01\x02\x03"), None);
        assert!(!format!("{:?}", CacheFile::parse(b"\0\0\0\0secret")).contains("secret"));
    }

    #[test]
    fn names_are_hashes() {
        let name = file_name(FileHash::Md5, "__wz_cache_count");
        assert_eq!(name, "2029240f6d1128be89ddc32729463129");
        assert!(is_file_name(&name) && is_file_name(&file_name(FileHash::Sha256, "é")));
        for other in ["", "README", "0f", &name.to_uppercase(), &format!("{name}.txt")] {
            assert!(!is_file_name(other), "{other}");
        }
    }
}
