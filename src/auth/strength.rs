//! Whether a new password is good enough, as NIST SP 800-63B has it: long, and none that is guessed
//! first. There are no rules on kinds of characters.

use std::collections::HashSet;
use std::ops::Range;

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
    (pieces(password, names) < PIECES).then_some(Weakness::Common)
}

/// How many different pieces a password is made of, at least: a known word, a year, a run of keys or
/// letters, or a single character is one.
fn pieces(password: &str, names: &[&str]) -> usize {
    let text: Vec<char> = password.to_lowercase().chars().collect();
    let mut words: Vec<Vec<char>> = COMMON.lines().map(|word| word.chars().collect()).collect();
    // Of a name such as "students.example.org" each part is one.
    let parts = names.iter().flat_map(|name| name.split(|c: char| !c.is_alphanumeric()));
    words.extend(
        parts
            .chain(names.iter().copied())
            .filter(|part| part.chars().count() >= 3)
            .map(|part| part.to_lowercase().chars().collect()),
    );
    // The fewest pieces up to each place, and where the last of them begins.
    let mut fewest: Vec<(usize, usize)> = vec![(0, 0)];
    for end in 1..=text.len() {
        let single = (fewest[end - 1].0 + 1, end - 1);
        let run = (fewest[run_begin(&text, end)].0 + 1, run_begin(&text, end));
        let year = end.checked_sub(4).filter(|begin| is_year(&text[*begin..end]));
        let word = words.iter().filter_map(|word| {
            let begin = end.checked_sub(word.len())?;
            is_like(&text[begin..end], word).then_some(begin)
        });
        let known = year.into_iter().chain(word).map(|begin| (fewest[begin].0 + 1, begin));
        let best = known.chain([run]).min().map_or(single, |found| found.min(single));
        fewest.push(best);
    }
    let mut different = HashSet::new();
    let mut end = text.len();
    while end > 0 {
        let begin = fewest[end].1;
        different.insert(piece(&text, begin..end));
        end = begin;
    }
    different.len()
}

fn piece(text: &[char], range: Range<usize>) -> &[char] {
    &text[range]
}

/// Where the longest run of three characters or more begins that ends before `end`: one character
/// repeated, or neighbours in a row, forwards or backwards.
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
            "我喜欢在下雨的时候读一本旧书",
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
