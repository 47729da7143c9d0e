//! Whether a new password is good enough, as NIST SP 800-63B has it: long, and none that is guessed
//! first. There are no rules on kinds of characters.

use std::collections::HashSet;

/// The longest password, in bytes.
pub const MAX_BYTES: usize = 1024;

/// Fewer different pieces than this are soon tried in every order.
const PIECES: usize = 5;

/// The words of the passwords that leaks are full of, in lower case.
const COMMON: &str = include_str!("strength/common.txt");

/// Rows of keys that fingers run along.
const ROWS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiopü",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "йцукенгшщзхъ",
    "!@#$%^&*()",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
    "1q2w3e4r5t6y7u8i9o0p",
    "qazwsxedcrfvtgbyhnujmik",
];

/// Why a password is refused, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// It has fewer characters than this.
    #[error("the password must have at least {0} characters; a few words in a row will do")]
    TooShort(usize),
    /// It has more than [`MAX_BYTES`] bytes.
    #[error("the password must have at most 1024 bytes")]
    TooLong,
    /// It is one of those that are tried first.
    #[error(
        "the password is easy to guess: it is little more than common words, names, sequences or \
         repetitions; take a few words that have nothing to do with each other"
    )]
    Common,
}

/// What is wrong with a new password, if anything is. `names` are those that go with the account:
/// its own, and the site's.
pub fn weakness(password: &str, min_length: usize, names: &[&str]) -> Option<Weakness> {
    if password.chars().count() < min_length {
        return Some(Weakness::TooShort(min_length));
    }
    if password.len() > MAX_BYTES {
        return Some(Weakness::TooLong);
    }
    let text: Vec<char> = password.to_lowercase().chars().collect();
    let mut once = text.clone();
    once.dedup();
    let words = words(names);
    let few = |text: &[char]| pieces(text, &words) < PIECES;
    (few(&text) || few(&once)).then_some(Weakness::Common)
}

/// The words that count as one piece, those of the names included: of "students.example.org" the
/// whole and each part.
fn words(names: &[&str]) -> Vec<Vec<char>> {
    let parts = names.iter().flat_map(|name| name.split(|c: char| !c.is_alphanumeric()));
    let names = parts.chain(names.iter().copied()).filter(|part| part.chars().count() >= 3);
    let lower = |word: &str| word.to_lowercase().chars().collect();
    COMMON.lines().chain(names).map(lower).collect()
}

/// How many different pieces a password is made of, at least: a known word, a year, a run of keys or
/// letters, or a single character is one.
fn pieces(text: &[char], words: &[Vec<char>]) -> usize {
    // The fewest pieces up to each place, and where the last of them begins.
    let mut fewest: Vec<(usize, usize)> = vec![(0, 0)];
    for end in 1..=text.len() {
        let run = run_begin(text, end);
        let year = end.checked_sub(4).filter(|begin| is_year(&text[*begin..end]));
        let word = words.iter().filter_map(|word| {
            let begin = end.checked_sub(word.len())?;
            is_like(&text[begin..end], word).then_some(begin)
        });
        let last = year.into_iter().chain(word).map(|begin| (fewest[begin].0 + 1, begin));
        let best = last.fold((fewest[run].0 + 1, run), Ord::min);
        fewest.push(best);
    }
    let mut different = HashSet::new();
    let mut end = text.len();
    while end > 0 {
        let begin = fewest[end].1;
        different.insert(&text[begin..end]);
        end = begin;
    }
    different.len()
}

/// Where the longest run of three characters or more begins that ends before `end`: one character
/// repeated, or neighbours in a row, forwards or backwards; where the last character is, if none does.
fn run_begin(text: &[char], end: usize) -> usize {
    let last = end - 1;
    let mut longest = last;
    for step in [same as fn(char, char) -> bool, next, before] {
        let mut begin = last;
        while begin > 0 && step(text[begin - 1], text[begin]) {
            begin -= 1;
        }
        longest = longest.min(begin);
    }
    if end - longest >= 3 { longest } else { last }
}

fn same(a: char, b: char) -> bool {
    a == b
}

fn next(a: char, b: char) -> bool {
    ROWS.iter().any(|row| row.chars().zip(row.chars().skip(1)).any(|pair| pair == (a, b)))
}

fn before(a: char, b: char) -> bool {
    next(b, a)
}

fn is_year(text: &[char]) -> bool {
    matches!(text, ['1', '9', a, b] | ['2', '0', a, b] if a.is_ascii_digit() && b.is_ascii_digit())
}

/// Whether a text is a word, perhaps with the digits and signs that people put for letters.
fn is_like(text: &[char], word: &[char]) -> bool {
    text.len() == word.len()
        && text.iter().zip(word).all(|(typed, letter)| {
            typed == letter
                || matches!(
                    (typed, letter),
                    ('0', 'o')
                        | ('1' | '!' | '|', 'i' | 'l')
                        | ('3' | '€', 'e')
                        | ('4' | '@', 'a')
                        | ('5' | '$', 's')
                        | ('7' | '+', 't')
                        | ('8', 'b')
                        | ('9', 'g')
                )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(password: &str) -> Option<Weakness> {
        weakness(password, 15, &["gkf", "maria.schmidt", "students.example.org"])
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        for password in [
            "aaaaaaaaaaaaaaa",
            "abababababababab",
            "123456789012345",
            "1234567890123456789",
            "987654321098765",
            "abcdefghijklmnop",
            "qwertyuiopasdfgh",
            "QWERTZUIOPASDFGH",
            "1q2w3e4r5t6y7u8i9o0p",
            "1qaz2wsx3edc4rfv",
            "passwordpassword",
            "Password1234567",
            "P@ssw0rd12345678",
            "password password 1",
            "iloveyouiloveyou",
            "ILoveYou1234567!",
            "administrator123",
            "Welcome2Welcome2",
            "Winter2026Summer",
            "thequickbrownfox",
            "maytheforcebewithyou",
            "letmeinletmeinletmein",
            "gkfgkfgkfgkfgkfgkf",
            "maria.schmidt2026",
            "Maria.Schmidt123!",
            "students.example.org",
            "111222333444555",
            "aabbccddeeffgghh",
            "00000000000000000000",
            "!!!!!!!!!!!!!!!",
            "changemechangeme",
            "                 ",
        ] {
            assert_eq!(of(password), Some(Weakness::Common), "{password}");
        }
    }

    #[test]
    fn what_is_not_is_taken_whatever_it_is_made_of() {
        for password in [
            "correct horse battery staple",
            "wet otter pays the blue tram",
            "xK7#mQ9$vL2@nP4w",
            "836251947204861937",
            "der Hund frisst gern Quark",
            "съешь ещё этих булок",
            "我喜欢在下雨的时候读一本旧书呢",
            "mfiskdjwheprlzvq",
        ] {
            assert_eq!(of(password), None, "{password}");
        }
    }

    #[test]
    fn length_counts_in_characters_and_has_bounds() {
        assert_eq!(of("äöüßéèêëàâîïôû"), Some(Weakness::TooShort(15)));
        assert_eq!(of("äöüßéèêëàâîïôûç"), None);
        assert_eq!(weakness("x7!kQz2p", 8, &[]), None);
        assert_eq!(weakness("password1", 8, &[]), Some(Weakness::Common));
        let long: String = (0..1024).map(|i| char::from(b'!' + (i * 7 % 90) as u8)).collect();
        assert_eq!(of(&long), None);
        assert_eq!(of(&format!("{long}!")), Some(Weakness::TooLong));
    }
}
