//! Certificates whose time is over, has not come, or ends soon.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

use vixen_core::time::WallTime;

use crate::config::TlsFiles;

use super::validity::Validity;

/// Before its end, a certificate is a concern for this long at most,
const SOON_SECONDS_MAX: i64 = 14 * 86_400;
/// and at most for this part of the time that it is valid: some are made for a day.
const SOON_PART: i64 = 6;

/// A certificate that others refuse, or soon will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// The table of the configuration, `tls` or `cluster-tls`.
    pub table: &'static str,
    /// The file.
    pub file: PathBuf,
    /// Its place in the file, from 1.
    pub place: usize,
    /// What is the matter.
    pub trouble: Trouble,
}

/// What is the matter with the time of a certificate. Times are Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It was valid until then.
    Expired(i64),
    /// It will be valid from then on.
    NotYetValid(i64),
    /// It is valid until then.
    ExpiresSoon(i64),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, seconds) = match self {
            Self::Expired(seconds) => ("expired", *seconds),
            Self::NotYetValid(seconds) => ("not valid before", *seconds),
            Self::ExpiresSoon(seconds) => ("expires", *seconds),
        };
        match Timestamp::from_second(seconds) {
            Ok(time) => write!(f, "{what} {time}"),
            Err(_) => write!(f, "{what} {seconds} s after 1970"),
        }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, file, place, trouble } = self;
        let file = file.display();
        write!(f, "{file}: certificate {place}: {trouble} (from {table}.certificate-file); ")?;
        f.write_str(match trouble {
            Trouble::Expired(_) => "clients refuse it: renew it",
            Trouble::NotYetValid(_) => "clients refuse it: is the clock of this machine right?",
            Trouble::ExpiresSoon(_) => "renew it, and send SIGHUP to the node",
        })
    }
}

/// Looks at all certificates of a file, the node's own first.
pub(super) fn concerns(files: &TlsFiles, chain: &[Validity], now: WallTime) -> Vec<Concern> {
    let now = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
    let concern = |(place, validity): (usize, &Validity)| {
        let trouble = trouble(*validity, now)?;
        Some(Concern { table: files.table, file: files.certificate.clone(), place, trouble })
    };
    (1..).zip(chain).filter_map(concern).collect()
}

fn trouble(Validity { not_before, not_after }: Validity, now: i64) -> Option<Trouble> {
    let soon = (not_after.saturating_sub(not_before) / SOON_PART).min(SOON_SECONDS_MAX);
    if now > not_after {
        Some(Trouble::Expired(not_after))
    } else if now < not_before {
        Some(Trouble::NotYetValid(not_before))
    } else if now > not_after - soon {
        Some(Trouble::ExpiresSoon(not_after))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn a_certificate_is_a_concern_before_between_and_after() {
        let year = Validity { not_before: 100 * DAY, not_after: 465 * DAY };
        for (now, wanted) in [
            (99 * DAY, Some(Trouble::NotYetValid(100 * DAY))),
            (100 * DAY, None),
            (451 * DAY, None),
            (451 * DAY + 1, Some(Trouble::ExpiresSoon(465 * DAY))),
            (465 * DAY, Some(Trouble::ExpiresSoon(465 * DAY))),
            (465 * DAY + 1, Some(Trouble::Expired(465 * DAY))),
        ] {
            assert_eq!(trouble(year, now), wanted, "{now}");
        }
        // One that is renewed every day is no concern for most of it.
        let day = Validity { not_before: 0, not_after: DAY };
        assert_eq!(trouble(day, DAY * 4 / 5), None);
        assert_eq!(trouble(day, DAY * 6 / 7), Some(Trouble::ExpiresSoon(DAY)));
    }

    #[test]
    fn the_text_names_file_place_time_and_fix() {
        let files = TlsFiles {
            table: "tls",
            certificate: "/etc/e.pem".into(),
            key: PathBuf::new(),
            ca: None,
        };
        let own = Validity { not_before: 0, not_after: 1_898_467_200 };
        let found = concerns(&files, &[own], WallTime(1_898_467_201_000));
        assert_eq!(
            found[0].to_string(),
            "/etc/e.pem: certificate 1: expired 2030-02-28T00:00:00Z \
             (from tls.certificate-file); clients refuse it: renew it"
        );
    }
}
