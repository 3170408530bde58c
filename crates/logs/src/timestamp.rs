//! Points in time, printed and read as Docker does.

use std::fmt;

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS: i64 = 1_000_000_000;

/// Nanoseconds since 1970-01-01 UTC. Prints as Go's `RFC3339Nano` in UTC (`2024-05-01T12:00:00.5Z`) without allocating.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The longest text [`Timestamp::format`] makes.
    pub const MAX_LEN: usize = 30;

    /// The present time of the real-time clock (vDSO, no system call).
    #[must_use]
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Self(now.tv_sec.saturating_mul(NANOS).saturating_add(now.tv_nsec))
    }

    /// Writes the text into `buffer` and returns it. Years are 1677 to 2262, so four digits always do.
    #[must_use]
    pub fn format(self, buffer: &mut [u8; Self::MAX_LEN]) -> &str {
        let (seconds, nanos) = (self.0.div_euclid(NANOS), self.0.rem_euclid(NANOS));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        buffer[..20].copy_from_slice(b"0000-00-00T00:00:00.");
        digits(&mut buffer[0..4], year);
        digits(&mut buffer[5..7], month);
        digits(&mut buffer[8..10], day);
        digits(&mut buffer[11..13], second / 3600);
        digits(&mut buffer[14..16], second / 60 % 60);
        digits(&mut buffer[17..19], second % 60);
        let mut end = 19;
        if nanos != 0 {
            digits(&mut buffer[20..29], nanos);
            end = 29;
            while buffer[end - 1] == b'0' {
                end -= 1;
            }
        }
        buffer[end] = b'Z';
        std::str::from_utf8(&buffer[..=end]).expect("digits and punctuation only")
    }

    /// With exactly six digits behind the point (RFC 5424 allows no more).
    #[must_use]
    pub(crate) fn format_micros(self, buffer: &mut [u8; Self::MAX_LEN]) -> &str {
        // One nanosecond less than a microsecond keeps the zeros that are cut off otherwise.
        let micros = self.0 - self.0.rem_euclid(1000) + 999;
        let _ = Self(micros).format(buffer);
        buffer[26] = b'Z';
        std::str::from_utf8(&buffer[..27]).expect("digits and punctuation only")
    }

    /// As Go's `time.Stamp`: `Jan _2 15:04:05`.
    #[must_use]
    pub(crate) fn format_stamp(self, buffer: &mut [u8; Self::MAX_LEN]) -> &str {
        const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        let seconds = self.0.div_euclid(NANOS);
        let ((_, month, day), second) = (civil(seconds.div_euclid(86_400)), seconds.rem_euclid(86_400));
        let month = (month as usize - 1) * 3;
        buffer[..15].copy_from_slice(b"Jan 00 00:00:00");
        buffer[..3].copy_from_slice(&MONTHS[month..month + 3]);
        digits(&mut buffer[4..6], day);
        if day < 10 {
            buffer[4] = b' ';
        }
        digits(&mut buffer[7..9], second / 3600);
        digits(&mut buffer[10..12], second / 60 % 60);
        digits(&mut buffer[13..15], second % 60);
        std::str::from_utf8(&buffer[..15]).expect("digits and punctuation only")
    }

    /// Reads an RFC 3339 text with any offset.
    ///
    /// # Errors
    /// `InvalidArgument` for a text that is none, or a time outside of the years 1677 to 2262.
    pub fn parse(text: &str) -> Result<Self> {
        let time: jiff::Timestamp =
            text.parse().map_err(|error| Error::invalid(format!("parse time {text:?}")).with_cause(error))?;
        let nanos = i64::try_from(time.as_nanosecond());
        nanos.map(Self).map_err(|_| Error::invalid(format!("time {text:?} is out of range")))
    }
}

/// The proleptic Gregorian date of a day counted from 1970-01-01.
///
/// The year is counted from March, in eras of 400 years (146,097 days), so that the leap day is a year's last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Right-aligned decimal digits, filled with zeros.
fn digits(field: &mut [u8], mut value: i64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.format(&mut [0; Self::MAX_LEN]))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.format(&mut [0; Self::MAX_LEN]))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zeros_at_the_end_are_cut_as_go_does() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (951_782_400 * NANOS + 500_000_000, "2000-02-29T00:00:00.5Z"),
            (1_709_164_799 * NANOS, "2024-02-28T23:59:59Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(Timestamp(nanos).to_string(), text);
        }
    }

    #[test]
    fn syslog_has_its_own_spellings() {
        let buffer = &mut [0; Timestamp::MAX_LEN];
        assert_eq!(Timestamp(5 * 86_400 * NANOS).format_stamp(buffer), "Jan  6 00:00:00");
        assert_eq!(Timestamp(-1).format_stamp(buffer), "Dec 31 23:59:59");
        assert_eq!(Timestamp(500).format_micros(buffer), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp(120_000_999).format_micros(buffer), "1970-01-01T00:00:00.120000Z");
    }

    #[test]
    fn offsets_are_understood() {
        assert_eq!(Timestamp::parse("1970-01-01T02:00:00+02:00").unwrap(), Timestamp(0));
        assert!(Timestamp::parse("yesterday").is_err());
    }

    proptest! {
        #[test]
        fn the_text_is_the_time(nanos: i64) {
            prop_assert_eq!(Timestamp::parse(&Timestamp(nanos).to_string()).unwrap(), Timestamp(nanos));
        }
    }
}
