//! Which clock the report tells the time by.

use jiff::tz::TimeZone;

use crate::model::moment;
use crate::wording::seconds;
use reshake_core::net::Timestamp;

/// Clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Times {
    /// Seconds from the first packet for connections, the time of day in UTC for ticket keys.
    #[default]
    Usual,
    /// Calendar and time of day in UTC.
    Utc,
    /// The same in the zone of this machine.
    Local,
    /// Seconds from the first packet.
    Relative,
}

impl Times {
    fn zone(self) -> TimeZone {
        match self {
            Self::Local => TimeZone::system(),
            Self::Usual | Self::Utc | Self::Relative => TimeZone::UTC,
        }
    }

    /// When the capture began: the one time that only a calendar can tell.
    pub(super) fn start(self, time: Timestamp) -> String {
        self.calendar(time, "%Y-%m-%d %H:%M:%S")
    }

    /// When a connection began.
    pub(super) fn of_connection(self, time: Timestamp, first: Timestamp) -> String {
        match self {
            // As in Wireshark's time column.
            Self::Usual | Self::Relative => format!("{} s", seconds(time.since(first))),
            Self::Utc | Self::Local => self.calendar(time, "%Y-%m-%d %H:%M:%S%.3f"),
        }
    }

    /// When a ticket key was at work.
    pub(super) fn of_key(self, time: Timestamp, first: Timestamp) -> String {
        match self {
            Self::Relative => format!("{} s", seconds(time.since(first))),
            Self::Usual | Self::Utc | Self::Local => {
                let zoned = moment(time).to_zoned(self.zone());
                zoned.strftime("%H:%M:%S").to_string()
            }
        }
    }

    /// What the times of ticket keys are counted in.
    pub(super) const fn key_heading(self) -> &'static str {
        match self {
            Self::Usual | Self::Utc => "at work (UTC)",
            Self::Local => "at work (local time)",
            Self::Relative => "at work",
        }
    }

    fn calendar(self, time: Timestamp, format: &str) -> String {
        let zoned = moment(time).to_zoned(self.zone());
        let zone = match self {
            Self::Local => zoned.strftime("%:z").to_string(),
            Self::Usual | Self::Utc | Self::Relative => "UTC".to_owned(),
        };
        format!("{} {zone}", zoned.strftime(format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_by_the_clock_that_was_asked_for() {
        let first = Timestamp::from_nanos(1_800_000_000_000_000_000);
        let time = Timestamp::from_nanos(1_800_000_001_250_000_000);
        assert_eq!(Times::Usual.start(first), "2027-01-15 08:00:00 UTC");
        assert_eq!(Times::Relative.of_connection(time, first), "1.250 s");
        assert_eq!(Times::Utc.of_connection(time, first), "2027-01-15 08:00:01.250 UTC");
        assert_eq!(Times::Utc.of_key(time, first), "08:00:01");
        assert_eq!(Times::Relative.of_key(time, first), "1.250 s");
    }
}
