//! Spans of time as people write them.

use std::time::Duration;

/// Reads `number unit` pairs (weeks to seconds, in words or by their first letters); a number
/// without a unit is seconds.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let mut total = None;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = rest[end..].trim_start();
        let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3_600.0,
            "d" | "day" | "days" => 86_400.0,
            "w" | "week" | "weeks" => 604_800.0,
            _ => return None,
        };
        total = Some(total.unwrap_or(0.0) + number * unit);
        rest = rest[end..].trim_start_matches([' ', ',']);
    }
    Duration::try_from_secs_f64(total?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("31 days", 2_678_400),
            ("1 h 30 min", 5_400),
            ("1day, 2hours", 93_600),
            ("90", 90),
            ("2w", 1_209_600),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        let bad = ["", "days", "31 dayz", "-1 day", "1 2", "1e5 days", "31 d 5", "9.9.9 d"];
        for text in bad.into_iter().chain(["99999999999999999999999 w"]) {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
