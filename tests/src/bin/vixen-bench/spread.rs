//! What several runs of the same made of a number.

use std::fmt;

use crate::report::{grouped, median};

/// The middle of a number's values, and its ends.
pub(crate) struct Spread {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// `None` without a value.
    pub(crate) fn of(values: Vec<f64>) -> Option<Self> {
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        Some(Self { median: median(values), least, most })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = [self.median, self.least, self.most].map(figure);
        write!(f, "{median} ({least} to {most})")
    }
}

/// With as many digits as say something.
fn figure(number: f64) -> String {
    match number {
        0.0..10.0 => format!("{number:.2}"),
        10.0..1000.0 => format!("{number:.1}"),
        _ => format!("{number:.0}").parse().map_or_else(|_| number.to_string(), grouped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_with_its_ends() {
        let shown = |values: &[f64]| Spread::of(values.to_vec()).map(|spread| spread.to_string());
        assert_eq!(shown(&[12_000.4, 0.123, 55.55]).as_deref(), Some("55.5 (0.12 to 12,000)"));
        assert_eq!(shown(&[]), None);
    }
}
