//! What a rule sees of a message.

use bytes::BytesMut;
use vixen_core::id::Position;
use vixen_core::payload::{PayloadError, as_json};
use vixen_core::segment::Content;
use vixen_core::time::WallTime;

use crate::value::{DEPTH_MAX, Dict, ReadError, Text, Value};

/// Bytes of the longest payload that filters look into.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its place in the order.
    pub position: Position,
    /// The time of its place.
    pub time: WallTime,
    /// Whom subscribers may know as its publisher.
    pub publisher: Option<Publisher<'a>>,
    /// What its payload is.
    pub content: Content,
    /// Its payload, as it is stored.
    pub payload: &'a [u8],
}

/// A publisher that is disclosed.
#[derive(Clone, Copy, Debug)]
pub struct Publisher<'a> {
    /// WAMP session id.
    pub session: u64,
    /// As in the WELCOME of the session.
    pub authid: &'a str,
    /// As in the WELCOME of the session.
    pub authrole: &'a str,
}

/// Why no filter can be asked about a message. It matches none then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Its payload is longer than filters look into.
    #[error("a payload of {bytes} bytes is too long for filters: {} at most", PAYLOAD_BYTES_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Its payload is not what it should be, or has no JSON.
    #[error("the payload cannot be read")]
    Unreadable(#[source] PayloadError),
    /// Its payload has too many levels.
    #[error("the payload is nested deeper than {}", DEPTH_MAX)]
    TooDeep,
}

impl DataError {
    /// A word for a metric's label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "long",
            Self::Unreadable(_) => "unreadable",
            Self::TooDeep => "deep",
        }
    }
}

/// A message as rules see it, read once for all that are asked.
///
/// One dictionary: `topic`, `position`, `time` (ms since 1970), `publisher` where it is disclosed (`session`,
/// `authid`, `authrole`), `args`, `kwargs`; and the fields of the first argument if that is a dictionary, else those of
/// the keyword arguments, as far as they have other names.
#[derive(Clone, Debug)]
pub struct Data<'a> {
    root: Value<'a>,
}

impl<'a> Data<'a> {
    /// Reads a message. `scratch` loses what it had. Takes time and memory in proportion to the payload.
    ///
    /// # Errors
    /// Its payload is too long, too deep or not what it should be.
    pub fn read(message: &Message<'a>, scratch: &'a mut BytesMut) -> Result<Self, DataError> {
        let bytes = message.payload.len();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(DataError::TooLong { bytes });
        }
        let (args, kwargs) =
            as_json(message.payload, message.content, scratch).map_err(DataError::Unreadable)?;
        let args = args.map_or_else(|| deep(Value::list(Vec::new())), read)?;
        let kwargs = kwargs.map_or_else(|| deep(Value::dict(Vec::new())), read)?;
        let mut entries = Vec::new();
        let fields = match (&args, &kwargs) {
            (Value::List(args), Value::Dict(kwargs)) => match args.first() {
                Some(Value::Dict(first)) => Some(first),
                Some(_) | None => Some(kwargs),
            },
            // `as_json` gives nothing else.
            _other => None,
        };
        if let Some(fields) = fields {
            entries.extend(copied(fields));
        }
        // The last one of a name counts.
        entries.push((Text::Borrowed("args"), args));
        entries.push((Text::Borrowed("kwargs"), kwargs));
        entries.push((Text::Borrowed("topic"), Value::Text(Text::Borrowed(message.topic))));
        entries.push((Text::Borrowed("position"), Value::integer(message.position.0)));
        entries.push((Text::Borrowed("time"), Value::integer(message.time.0)));
        let publisher = match &message.publisher {
            Some(publisher) => deep(Value::dict(vec![
                (Text::Borrowed("session"), Value::integer(publisher.session)),
                (Text::Borrowed("authid"), Value::Text(Text::Borrowed(publisher.authid))),
                (Text::Borrowed("authrole"), Value::Text(Text::Borrowed(publisher.authrole))),
            ]))?,
            // Not a field of this name: nobody is to pass for a publisher.
            None => Value::Null,
        };
        entries.push((Text::Borrowed("publisher"), publisher));
        Ok(Self { root: deep(Value::dict(entries))? })
    }

    pub(crate) const fn root(&self) -> &Value<'a> {
        &self.root
    }
}

fn copied<'v, 'a>(fields: &'v Dict<'a>) -> impl Iterator<Item = (Text<'a>, Value<'a>)> + 'v {
    fields.iter().cloned()
}

fn read(json: &[u8]) -> Result<Value<'_>, DataError> {
    Value::read(json).map_err(|error| match error {
        ReadError::Malformed(error) => DataError::Unreadable(error),
        ReadError::Depth => DataError::TooDeep,
    })
}

fn deep<T>(result: Result<T, crate::Failure>) -> Result<T, DataError> {
    result.map_err(|_| DataError::TooDeep)
}
