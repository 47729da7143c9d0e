//! Which keys anybody could guess, and are therefore none.

/// Fewer bytes than HMAC-SHA256 gives out are easier to guess than to forge.
const MIN_LENGTH: usize = 32;

/// A random key has more different characters, a hexadecimal one of the shortest length in all but
/// one of ten million cases.
const MIN_DIFFERENT: usize = 8;

/// Keys that documents and programs have made known, in lower case, as far as the other rules do
/// not find them.
const PUBLISHED: &[&str] = &[
    // Flask's quick start, over the years.
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "_5#y2l\"f4q8z\n\u{ec}]/",
    "_5#y2l\"f4q8z\\n\\xec]/",
    "a0zr98j/3yx r~xhh!jmn]lwx/,?rt",
    "\\xfd{h\\xe5<\\x95\\xf9\\xe3\\x96.5\\xd1\\x01o<!\\xd5\\xa2\\xa0\\x9fr\"\\xa1\\xa8",
    // Superset, Airflow, Redash, CKAN, and examples that many have copied.
    "\u{2}\u{1}thisismyscretkey\u{1}\u{2}\\e\\y\\y\\h",
    "\\2\\1thisismyscretkey\\1\\2\\e\\y\\y\\h",
    "change_me_to_a_complex_random_secret",
    "thisisasecret_1234",
    "your_own_random_generated_secret_key",
    "test_non_dev_secret",
    "temporary_key",
    "cryptography_key_for_airflow_docs",
    "c292a0a3aa32397cdb050e233733900f",
    "dev",
    "development",
    "development key",
    "default",
    "secret",
    "secret!",
    "secret key",
    "secret-key",
    "secret_key",
    "secretkey",
    "super secret",
    "super secret key",
    "super-secret",
    "supersecret",
    "supersecretkey",
    "my secret key",
    "mysecretkey",
    "my precious",
    "hard to guess string",
    "you-will-never-guess",
    "this-really-needs-to-be-changed",
    "not-so-secret",
    "password",
    "changeme",
    "change-me",
    "change_me",
    "changethis",
    "test",
    "testing",
    "key",
    "admin",
];

/// Words of a placeholder, which nobody meant to be a key.
const PLACEHOLDERS: &[&str] =
    &["changeme", "changethis", "replacethis", "yoursecretkey", "yourownrandom"];

/// Why a key is none, in words that follow its name; `None` where nothing is known against it.
pub(super) fn weakness(key: &str) -> Option<&'static str> {
    guessable(key).or_else(|| (key.trim().len() < MIN_LENGTH).then_some("is shorter than 32 bytes"))
}

/// What is known to be a bad key whatever its length: anybody could try it.
pub(super) fn guessable(key: &str) -> Option<&'static str> {
    let lower = key.trim().to_lowercase();
    let letters: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
    let bytes = key.trim().as_bytes();
    if PUBLISHED.contains(&&*lower) || PLACEHOLDERS.iter().any(|words| letters.contains(words)) {
        Some("is one that documents show, and everybody knows")
    } else if repeats(bytes) {
        Some("repeats itself")
    } else if counts(bytes) {
        Some("counts up or down")
    } else {
        None
    }
}

/// Whether there is little in it, or one part over and over.
fn repeats(key: &[u8]) -> bool {
    let mut different = key.to_vec();
    different.sort_unstable();
    different.dedup();
    let period = |length: &usize| key.iter().zip(&key[*length..]).all(|(a, b)| a == b);
    different.len() < MIN_DIFFERENT.min(key.len() / 3) || (1..=key.len() / 2).any(|n| period(&n))
}

/// Whether most characters follow from the one before.
fn counts(key: &[u8]) -> bool {
    let steps = key.windows(2).filter(|two| two[0].abs_diff(two[1]) == 1).count();
    key.len() > 3 && steps * 3 > key.len() * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_anybody_could_guess_is_none() {
        for (key, why) in [
            ("", "shorter"),
            ("x", "shorter"),
            ("dev", "everybody knows"),
            ("SECRET", "everybody knows"),
            (" changeme ", "everybody knows"),
            ("_5#y2L\"F4Q8z\n\u{ec}]/", "everybody knows"),
            ("192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf", "everybody"),
            ("\u{2}\u{1}thisismyscretkey\u{1}\u{2}\\e\\y\\y\\h", "everybody knows"),
            ("CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET", "everybody knows"),
            ("c292a0a3aa32397cdb050e233733900f", "everybody knows"),
            ("please-change-me-before-you-go-into-production", "everybody knows"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "repeats"),
            ("                                        ", "shorter"),
            ("secretsecretsecretsecretsecretsecret", "repeats"),
            ("1234567812345678123456781234567812345678", "repeats"),
            ("abcabcabcabcabcabcabcabcabcabcabcabcabcab", "repeats"),
            ("0123456789abcdef0123456789abcdef", "repeats"),
            ("abcdefghijklmnopqrstuvwxyz0123456789", "counts"),
            ("zyxwvutsrqponmlkjihgfedcba9876543210", "counts"),
            ("Kq3v9XwPz7Lm2Rt8Yc5Bn4Hd6Gf1Js0", "shorter"),
        ] {
            let found = weakness(key).unwrap_or_else(|| panic!("{key:?} passes"));
            assert!(found.contains(why), "{key:?} {found}");
        }
    }

    #[test]
    fn a_random_key_is_a_key() {
        use rand::RngExt;
        for _ in 0..2_000 {
            let random: [u8; 16] = rand::rng().random();
            let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(weakness(&hex), None, "{hex}");
        }
        for key in ["the key of a Flask application, kept", "Kq3v9XwPz7Lm2Rt8Yc5Bn4Hd6Gf1Js0a"] {
            assert_eq!(weakness(key), None, "{key}");
        }
    }
}
