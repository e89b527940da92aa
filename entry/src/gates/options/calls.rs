//! Options of calls: beside the payload of a WAMP CALL or YIELD, and of CANCEL and REGISTER.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use vixen_broker::access::{CallOptions, RegisterOptions};
use vixen_broker::api::calls::{CancelMode, Invoke};
use vixen_core::segment::{Match, Passthru};

use super::{matching_of, parse_bool, passthru_of};
use crate::gates::raw::decode_string;
use crate::gates::refusal::OptionError;

#[derive(Deserialize)]
struct RawCallOptions<'a> {
    #[serde(borrow)]
    timeout: Option<&'a RawValue>,
    #[serde(borrow)]
    receive_progress: Option<&'a RawValue>,
    #[serde(borrow)]
    progress: Option<&'a RawValue>,
    #[serde(borrow)]
    disclose_me: Option<&'a RawValue>,
    #[serde(borrow)]
    rkey: Option<&'a RawValue>,
}

/// Reads the raw dictionary of a call.
///
/// # Errors
/// The option that is malformed.
pub(crate) fn call_options(raw: &str) -> Result<CallOptions, OptionError> {
    if raw == "{}" {
        return Ok(CallOptions::default());
    }
    let options: RawCallOptions<'_> = read(raw)?;
    Ok(CallOptions {
        timeout_ms: number::<u64>("timeout", options.timeout)?.and_then(NonZeroU64::new),
        takes_progress: switch("receive_progress", options.receive_progress)?,
        has_more: switch("progress", options.progress)?,
        disclose_me: switch("disclose_me", options.disclose_me)?,
        routing_key: text("rkey", options.rkey)?,
        passthru: passthru_of(raw)?,
    })
}

#[derive(Deserialize)]
struct RawRegisterOptions<'a> {
    #[serde(borrow, rename = "match")]
    matching: Option<&'a RawValue>,
    #[serde(borrow)]
    invoke: Option<&'a RawValue>,
    #[serde(borrow)]
    concurrency: Option<&'a RawValue>,
    #[serde(borrow)]
    force_reregister: Option<&'a RawValue>,
    #[serde(borrow)]
    forward_timeout: Option<&'a RawValue>,
}

/// Reads the raw dictionary of a register.
///
/// # Errors
/// The option that is malformed.
pub(crate) fn register_options(raw: &str) -> Result<RegisterOptions, OptionError> {
    if raw == "{}" {
        return Ok(RegisterOptions::default());
    }
    let options: RawRegisterOptions<'_> = read(raw)?;
    Ok(RegisterOptions {
        matching: named("match", options.matching, matching_of)?.unwrap_or(Match::Exact),
        invoke: named("invoke", options.invoke, invoke_of)?.unwrap_or_default(),
        concurrency: number::<NonZeroU32>("concurrency", options.concurrency)?,
        is_forced: switch("force_reregister", options.force_reregister)?,
        forwards_timeout: switch("forward_timeout", options.forward_timeout)?,
    })
}

#[derive(Deserialize)]
struct RawYieldOptions<'a> {
    #[serde(borrow)]
    progress: Option<&'a RawValue>,
}

/// What a callee says beside a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct YieldOptions {
    /// More is to come.
    pub(crate) is_progress: bool,
    /// The result is packed, and the caller is told how.
    pub(crate) passthru: Option<Box<Passthru>>,
}

/// Reads the raw dictionary of a yield.
///
/// # Errors
/// The option that is malformed.
pub(crate) fn yield_options(raw: &str) -> Result<YieldOptions, OptionError> {
    if raw == "{}" {
        return Ok(YieldOptions::default());
    }
    let options: RawYieldOptions<'_> = read(raw)?;
    let is_progress = switch("progress", options.progress)?;
    Ok(YieldOptions { is_progress, passthru: passthru_of(raw)? })
}

/// Reads the raw details of a callee's error: how its arguments are packed.
///
/// # Errors
/// The detail that is malformed.
pub(crate) fn error_details(raw: &str) -> Result<Option<Box<Passthru>>, OptionError> {
    passthru_of(raw)
}

#[derive(Deserialize)]
struct RawCancelOptions<'a> {
    #[serde(borrow)]
    mode: Option<&'a RawValue>,
}

/// Reads the raw dictionary of a cancel.
///
/// # Errors
/// The option is malformed.
pub(crate) fn cancel_options(raw: &str) -> Result<CancelMode, OptionError> {
    let options: RawCancelOptions<'_> = read(raw)?;
    Ok(named("mode", options.mode, mode_of)?.unwrap_or(CancelMode::Unnamed))
}

fn read<'a, T: Deserialize<'a>>(raw: &'a str) -> Result<T, OptionError> {
    serde_json::from_str(raw).map_err(|_twice| OptionError::Twice)
}

fn switch(name: &'static str, raw: Option<&RawValue>) -> Result<bool, OptionError> {
    parse_bool(raw, false).ok_or(OptionError::Invalid(name))
}

/// A number in plain digits.
fn number<T: std::str::FromStr>(
    name: &'static str,
    raw: Option<&RawValue>,
) -> Result<Option<T>, OptionError> {
    let number = raw.map(|raw| raw.get().parse::<T>());
    number.transpose().map_err(|_other| OptionError::Invalid(name))
}

fn text(name: &'static str, raw: Option<&RawValue>) -> Result<Option<Arc<str>>, OptionError> {
    named(name, raw, |text| Some(text.into()))
}

fn named<T>(
    name: &'static str,
    raw: Option<&RawValue>,
    of: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, OptionError> {
    let Some(raw) = raw else { return Ok(None) };
    let value = decode_string(raw.get()).and_then(|text| of(&text));
    value.map(Some).ok_or(OptionError::Invalid(name))
}

fn invoke_of(name: &str) -> Option<Invoke> {
    Some(match name {
        "single" => Invoke::Single,
        "roundrobin" => Invoke::RoundRobin,
        "random" => Invoke::Random,
        "first" => Invoke::First,
        "last" => Invoke::Last,
        _ => return None,
    })
}

fn mode_of(name: &str) -> Option<CancelMode> {
    Some(match name {
        "skip" => CancelMode::Skip,
        "kill" => CancelMode::Kill,
        "killnowait" => CancelMode::KillNoWait,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_call_are_read() {
        assert_eq!(call_options("{}"), Ok(CallOptions::default()));
        assert_eq!(call_options(r#"{"x":[],"timeout":null}"#), Ok(CallOptions::default()));
        assert_eq!(call_options(r#"{"timeout":0}"#), Ok(CallOptions::default()));
        let all = r#"{"timeout":250,"receive_progress":true,"progress":true,"disclose_me":true,"rkey":"\u0061"}"#;
        let wanted = CallOptions {
            timeout_ms: NonZeroU64::new(250),
            takes_progress: true,
            has_more: true,
            disclose_me: true,
            routing_key: Some("a".into()),
            passthru: None,
        };
        assert_eq!(call_options(all), Ok(wanted));
    }

    #[test]
    fn options_of_a_register_are_read() {
        assert_eq!(register_options("{}"), Ok(RegisterOptions::default()));
        let all = r#"{"match":"wildcard","invoke":"roundrobin","concurrency":3,"force_reregister":true,"forward_timeout":true}"#;
        let wanted = RegisterOptions {
            matching: Match::Wildcard,
            invoke: Invoke::RoundRobin,
            concurrency: NonZeroU32::new(3),
            is_forced: true,
            forwards_timeout: true,
        };
        assert_eq!(register_options(all), Ok(wanted));
        let table = [
            ("single", Invoke::Single),
            ("random", Invoke::Random),
            ("first", Invoke::First),
            ("last", Invoke::Last),
        ];
        for (name, invoke) in table {
            let read = register_options(&format!(r#"{{"invoke":"{name}"}}"#));
            assert_eq!(read.map(|options| options.invoke), Ok(invoke));
        }
    }

    #[test]
    fn options_of_a_yield_and_a_cancel_are_read() {
        let of = |raw| yield_options(raw).map(|options| options.is_progress);
        assert_eq!((of("{}"), of(r#"{"progress":true}"#)), (Ok(false), Ok(true)));
        let table = [
            ("{}", CancelMode::Unnamed),
            (r#"{"mode":null}"#, CancelMode::Unnamed),
            (r#"{"mode":"skip"}"#, CancelMode::Skip),
            (r#"{"mode":"kill"}"#, CancelMode::Kill),
            (r#"{"mode":"killnowait"}"#, CancelMode::KillNoWait),
        ];
        for (raw, mode) in table {
            assert_eq!(cancel_options(raw), Ok(mode), "{raw}");
        }
    }

    #[test]
    fn a_bad_value_is_named() {
        for raw in [
            r#"{"timeout":-1}"#,
            r#"{"timeout":1.5}"#,
            r#"{"timeout":1e3}"#,
            r#"{"timeout":"1"}"#,
            r#"{"timeout":18446744073709551616}"#,
            r#"{"receive_progress":1}"#,
            r#"{"progress":"x"}"#,
            r#"{"disclose_me":{}}"#,
            r#"{"rkey":7}"#,
        ] {
            assert!(matches!(call_options(raw), Err(OptionError::Invalid(_))), "{raw}");
        }
        for raw in [
            r#"{"match":"dotted"}"#,
            r#"{"match":7}"#,
            r#"{"invoke":"bogus"}"#,
            r#"{"concurrency":0}"#,
            r#"{"concurrency":-1}"#,
            r#"{"concurrency":"1"}"#,
            r#"{"concurrency":4294967296}"#,
            r#"{"force_reregister":1}"#,
            r#"{"forward_timeout":1}"#,
        ] {
            assert!(matches!(register_options(raw), Err(OptionError::Invalid(_))), "{raw}");
        }
        assert_eq!(yield_options(r#"{"progress":1}"#), Err(OptionError::Invalid("progress")));
        assert_eq!(cancel_options(r#"{"mode":"bogus"}"#), Err(OptionError::Invalid("mode")));
        assert_eq!(cancel_options(r#"{"mode":1}"#), Err(OptionError::Invalid("mode")));
        assert_eq!(call_options(r#"{"rkey":"a","rkey":"b"}"#), Err(OptionError::Twice));
    }
}
