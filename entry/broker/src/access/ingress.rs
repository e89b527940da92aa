//! Ingress: where what a session publishes, subscribes, calls and registers is checked.
//!
//! Invariants:
//! - I1: what it lets pass is a good topic of its session's realm, or a good procedure, that the permissions
//!   allow, and not larger than may be.
//! - I2: a publisher, caller or callee is named only where the permission that holds for the topic or procedure
//!   lets it.

use std::sync::Arc;

use bytes::Bytes;

use vixen_core::access::{Disclosure, UriCheck};
use vixen_core::payload::scan::Kind;
use vixen_core::payload::sole_value;
use vixen_core::segment::{
    Attributes, Content, Match, Passthru, Publisher, RecordFlags, Topic, TopicPattern,
};
use vixen_core::wire::CALL_URI_BYTES_MAX;

use super::options::{CallOptions, Lists, PublishOptions, RegisterOptions, SubscribeOptions};
use super::permission::{CalleeDisclosure, Permissions};
use super::refusal::{Act, Refusal};
use super::topics::{TopicCache, TopicText};
use super::uri::{is_reserved, is_uri};
use crate::api::calls::{Call, Payload, Register};
use crate::api::{Publish, RequestId, SessionInfo, Subscribe};

/// What is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngressLimits {
    /// Longest topic or pattern.
    pub topic_bytes_max: usize,
    /// Largest topic, payload and attributes together.
    pub publish_bytes_max: usize,
    /// Which topics are good.
    pub uri_check: UriCheck,
}

/// A message that a client wants published.
#[derive(Clone, Debug)]
pub struct Message<'a, T> {
    /// Which request it is.
    pub request: RequestId,
    /// Where to, as the client said it.
    pub topic: &'a T,
    /// What the payload is.
    pub content: Content,
    /// The payload, verbatim.
    pub payload: Bytes,
    /// What is asked for.
    pub options: PublishOptions,
}

/// A call that a client makes.
#[derive(Clone, Debug)]
pub struct CallMessage<'a, T> {
    /// Which request it is.
    pub request: RequestId,
    /// What is called, as the client said it.
    pub procedure: &'a T,
    /// Its arguments.
    pub payload: Payload,
    /// What is asked for.
    pub options: CallOptions,
}

/// See the module.
#[derive(Debug)]
pub struct Ingress {
    info: Arc<SessionInfo>,
    topics: TopicCache,
    limits: IngressLimits,
}

impl Ingress {
    /// Of a session.
    #[must_use]
    pub fn new(info: Arc<SessionInfo>, limits: IngressLimits) -> Self {
        let topics = TopicCache::new(Arc::clone(&info.realm), &limits);
        Self { info, topics, limits }
    }

    /// Whose it is.
    #[must_use]
    pub const fn info(&self) -> &Arc<SessionInfo> {
        &self.info
    }

    /// The message as it is published. Quotas are not asked.
    ///
    /// # Errors
    /// It may not be.
    pub fn publish(
        &mut self,
        permissions: &Permissions,
        message: Message<'_, impl TopicText>,
    ) -> Result<Publish, Refusal> {
        let Message { request, topic, content, payload, options } = message;
        let topic = self.topics.published(topic)?;
        if let Some(passthru) = &options.passthru {
            check_packed(passthru, content, &payload)?;
        }
        let disclosure = permissions.publish(&topic.uri);
        let disclosure = disclosure.ok_or(Refusal::NotAuthorized(Act::Publish))?;
        let is_disclosed = match disclosure {
            Disclosure::Never if options.disclose_me => return Err(Refusal::DisclosureNotAllowed),
            Disclosure::Never => false,
            Disclosure::OnRequest => options.disclose_me,
            Disclosure::Always => true,
        };
        let publish = Publish {
            topic,
            content,
            payload,
            flags: match options.include_me {
                true => RecordFlags::default(),
                false => RecordFlags::EXCLUDE_ME,
            },
            acknowledge: options.acknowledge.then_some(request),
            level: options.level,
            wait: options.wait,
            attributes: self.attributes(options, is_disclosed),
        };
        // Its authorizer may have it disclosed.
        let more = permissions.authorizer().map_or(0, |_| self.publisher_bytes());
        self.check_bytes(publish.message_bytes() + more)?;
        self.check(&publish.topic);
        Ok(publish)
    }

    /// What the client wants to get.
    ///
    /// # Errors
    /// It may not have it.
    pub fn subscribe(
        &self,
        permissions: &Permissions,
        topic: &impl TopicText,
        options: &SubscribeOptions,
    ) -> Result<Subscribe, Refusal> {
        let SubscribeOptions { matching, after, limit, is_snapshot } = *options;
        let pattern = self.pattern(permissions, topic, matching)?;
        Ok(Subscribe { pattern, after, limit, is_snapshot })
    }

    /// The topics that the client may read by this pattern.
    ///
    /// # Errors
    /// It is none, or not all of it may be read.
    pub fn pattern(
        &self,
        permissions: &Permissions,
        topic: &impl TopicText,
        matching: Match,
    ) -> Result<TopicPattern, Refusal> {
        let pattern = self.topics.subscribed(topic, matching)?;
        if permissions.may_read(&pattern) {
            Ok(pattern)
        } else {
            Err(Refusal::NotAuthorized(Act::Subscribe))
        }
    }

    /// The call as it is made.
    ///
    /// # Errors
    /// It may not be.
    pub fn call(
        &mut self,
        permissions: &Permissions,
        message: CallMessage<'_, impl TopicText>,
    ) -> Result<Call, Refusal> {
        let CallMessage { request, procedure, payload, options } = message;
        let procedure = self.topics.called(procedure)?;
        let disclosure = permissions.call(&procedure);
        let disclosure = disclosure.ok_or(Refusal::NotAuthorized(Act::Call))?;
        let is_of_router = is_reserved(&procedure);
        let call = Call {
            request,
            procedure,
            payload: Payload { passthru: options.passthru, ..payload },
            takes_progress: options.takes_progress,
            has_more: options.has_more,
            timeout_ms: options.timeout_ms,
            came: None,
            is_disclosed: match disclosure {
                Disclosure::Never => false,
                Disclosure::OnRequest => options.disclose_me,
                Disclosure::Always => true,
            },
            routing_key: options.routing_key,
            testament: None,
            rights: is_of_router.then(|| Box::new(permissions.clone())),
        };
        self.check_payload(call.procedure.len(), &call.payload)?;
        Ok(call)
    }

    /// What the client wants to answer.
    ///
    /// # Errors
    /// It may not.
    pub fn register(
        &self,
        permissions: &Permissions,
        request: RequestId,
        procedure: &impl TopicText,
        options: &RegisterOptions,
    ) -> Result<Register, Refusal> {
        let RegisterOptions { matching, invoke, concurrency, is_forced, forwards_timeout } =
            *options;
        let procedure = self.topics.registered(procedure, matching)?;
        let disclosure = permissions.register(&procedure, matching);
        let disclosure = disclosure.ok_or(Refusal::NotAuthorized(Act::Register))?;
        Ok(Register {
            request,
            procedure,
            matching,
            invoke,
            concurrency,
            is_forced,
            is_disclosed: disclosure == CalleeDisclosure::Told,
            forwards_timeout,
        })
    }

    /// Whether this names an error, by the rule for topics, and is no longer than entries tell each other.
    #[must_use]
    pub fn is_error(&self, uri: &str) -> bool {
        uri.len() <= CALL_URI_BYTES_MAX && is_uri(uri, self.limits.uri_check)
    }

    /// Whether the payload of a call, or of its answer, is let in beside a URI of so many bytes.
    ///
    /// # Errors
    /// Both are larger than may be, or it is not packed as it says.
    pub fn check_payload(&self, uri_bytes: usize, payload: &Payload) -> Result<(), Refusal> {
        if let Some(passthru) = &payload.passthru {
            check_packed(passthru, payload.content, &payload.bytes)?;
        }
        self.check_bytes(uri_bytes + payload.said_bytes())
    }

    const fn check_bytes(&self, bytes: usize) -> Result<(), Refusal> {
        let max = self.limits.publish_bytes_max;
        if bytes > max { Err(Refusal::TooLarge { max }) } else { Ok(()) }
    }

    /// What an attribute that names the publisher takes, about and not less.
    fn publisher_bytes(&self) -> usize {
        const OVERHEAD: usize = 16;
        OVERHEAD + self.info.authid.len() + self.info.authrole.len()
    }

    fn attributes(&self, options: PublishOptions, is_disclosed: bool) -> Bytes {
        let PublishOptions { lists, passthru, .. } = options;
        if !is_disclosed && lists.is_none() && passthru.is_none() {
            return Bytes::new();
        }
        let Lists { exclude, eligible } = lists.map(|lists| *lists).unwrap_or_default();
        let publisher = is_disclosed.then(|| Publisher {
            authid: self.info.authid.to_string(),
            authrole: self.info.authrole.to_string(),
        });
        let attributes =
            Attributes { publisher, passthru, exclude, eligible, ..Attributes::default() };
        attributes.to_bytes().into()
    }

    /// I1, as far as it costs nothing.
    fn check(&self, topic: &Topic) {
        assert!(Arc::ptr_eq(&topic.realm, &self.info.realm), "I1: a topic of its session's realm");
    }
}

/// Whether a payload is the one value that it is to be in payload passthru mode. Text counts as bytes: JSON has no
/// others, and what is packed as JSON is text at its sender.
fn check_packed(passthru: &Passthru, content: Content, payload: &[u8]) -> Result<(), Refusal> {
    let Content::Arguments(encoding) = content else { return Ok(()) };
    match sole_value(payload, encoding) {
        Ok(Some(Kind::Bytes | Kind::Str)) => Ok(()),
        Ok(Some(_any)) if !passthru.is_packed() => Ok(()),
        Ok(_) | Err(_) => Err(Refusal::NotPacked),
    }
}
