//! Points in time as text: RFC 3339 for people and programs, RFC 9110 for headers and Flask.

use std::ops::RangeInclusive;
#[cfg(feature = "app")]
use std::time::{SystemTime, UNIX_EPOCH};

/// The seconds of the years 1 to 9999: Python has no other dates.
pub const PYTHON_DATES: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The system's time in whole seconds since 1970, for what is not a session's.
#[cfg(feature = "app")]
pub fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// A moment in UTC by the Gregorian calendar.
pub struct Civil {
    days: i64,
    pub year: i64,
    pub month: usize,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
}

impl Civil {
    /// Howard Hinnant's `civil_from_days`.
    pub fn from_unix(seconds: i64) -> Self {
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            days,
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: usize::try_from(month).unwrap_or(1),
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

/// Seconds since 1970 as `YYYY-MM-DDTHH:MM:SS[.fraction]Z`.
pub fn rfc3339(seconds: i64, nanoseconds: u32) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = Civil::from_unix(seconds);
    let fraction = match nanoseconds {
        0 => String::new(),
        _ => format!(".{}", format!("{nanoseconds:09}").trim_end_matches('0')),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Seconds since 1970 as `Www, DD Mmm YYYY HH:MM:SS GMT`, which is Werkzeug's `http_date`.
pub fn http_date(seconds: i64) -> String {
    let Civil { days, year, month, day, hour, minute, second } = Civil::from_unix(seconds);
    // 1 January 1970 was a Thursday.
    let weekday = WEEKDAYS[usize::try_from((days + 3).rem_euclid(7)).unwrap_or(0)];
    let month = MONTHS[month - 1];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Seconds since 1970 of a civil date, by Howard Hinnant's `days_from_civil`. A day past the month's
/// end comes out in the next month.
pub fn to_unix(year: i64, month: i64, day: i64, second_of_day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 719_468) * 86_400 + second_of_day
}

/// Reads a date as Python's `email.utils` does: an optional weekday, `DD Mmm YYYY` with years below
/// 100 counted from 1900 or 2000, a time with optional seconds, and `GMT`, `UTC` or an offset.
/// `None` for anything else.
pub fn parse_http_date(text: &str) -> Option<i64> {
    let text = text.split_once(',').map_or(text, |(_, rest)| rest);
    let mut fields = text.split_ascii_whitespace();
    let number = |text: &str| -> Option<i64> {
        let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    let day = number(fields.next()?)?;
    let month = fields.next()?;
    let month = MONTHS.iter().position(|known| known.eq_ignore_ascii_case(month))?;
    let year = match number(fields.next()?)? {
        year @ 0..69 => year + 2000,
        year @ 69..100 => year + 1900,
        year => year,
    };
    let mut time = fields.next()?.split(':').map(number);
    let (hour, minute) = (time.next()??, time.next()??);
    let second = time.next().unwrap_or(Some(0))?;
    let offset = match fields.next().unwrap_or("GMT") {
        "GMT" | "UTC" | "UT" | "Z" => 0,
        zone => {
            let digits = number(zone.strip_prefix(['+', '-']).filter(|digits| digits.len() == 4)?)?;
            let offset = (digits / 100 * 60 + digits % 100) * 60;
            if zone.starts_with('-') { -offset } else { offset }
        }
    };
    let month = i64::try_from(month).ok()? + 1;
    let valid = (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let valid = valid && year <= 9999 && offset.abs() < 86_400;
    // A day past the month's end would come out in the next month.
    let valid = valid && Civil::from_unix(to_unix(year, month, day, 0)).day == day;
    let at = to_unix(year, month, day, hour * 3600 + minute * 60 + second) - offset;
    let valid = valid && PYTHON_DATES.contains(&at);
    (valid && time.next().is_none() && fields.next().is_none()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_714_979_289, 120_000_000), "2024-05-06T07:08:09.12Z");
        assert_eq!(rfc3339(-1, 0), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339(951_782_400, 0), "2000-02-29T00:00:00Z");
        rfc3339(i64::MIN, 0);
        rfc3339(i64::MAX, 999_999_999);
    }

    #[test]
    fn http_dates_are_werkzeugs() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (-2_208_988_800, "Mon, 01 Jan 1900 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(seconds), text);
            assert_eq!(parse_http_date(text), Some(seconds));
        }
        http_date(i64::MIN);
        http_date(i64::MAX);
    }

    #[test]
    fn dates_are_read_as_python_reads_them() {
        for text in [
            "Mon, 06 May 2024 12:00:00 GMT",
            "6 May 2024 12:00",
            "06 may 24 12:00:00 UTC",
            "Mon, 06 May 2024 14:00:00 +0200",
            "Mon, 06 May 2024 07:00:00 -0500",
        ] {
            assert_eq!(parse_http_date(text), Some(1_714_996_800), "{text}");
        }
        for bad in [
            "",
            "never",
            "31 Feb 2024 12:00:00 GMT",
            "06 May 2024 25:00:00 GMT",
            "06 May 2024",
            "06 May 2024 12:00:00 +99",
            "06 May 2024 12:00:60 GMT",
            "06 May 2024 12:00:00 +2400",
            "06 May 2024 12:00:00 -9999",
            "01 Jan 10000 00:00:00 GMT",
            "31 Dec 9999 23:59:59 -0001",
        ] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
    }
}
