//! Files of text: the configuration and those it names.

use std::path::Path;

use super::error::ConfigError;

/// What some editors put before the text; it means nothing.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a file of UTF-8 without its byte order mark. `fix` is for one that cannot be read.
pub(super) fn read(path: &Path, fix: &'static str) -> Result<String, ConfigError> {
    let bytes = std::fs::read(path).map_err(|cause| ConfigError::Unreadable {
        file: path.to_owned(),
        cause,
        fix,
    })?;
    let text = String::from_utf8(bytes).map_err(|error| not_text(path, &error))?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text))
}

fn not_text(path: &Path, error: &std::string::FromUtf8Error) -> ConfigError {
    let (bytes, at) = (error.as_bytes(), error.utf8_error().valid_up_to());
    let before = String::from_utf8_lossy(&bytes[..at]);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let problem = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is UTF-16".to_owned(),
        _ => format!("the byte 0x{:02x} there is not UTF-8", bytes[at]),
    };
    ConfigError::NotText {
        file: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        problem,
    }
}
