//! Reads for calls: each is a task that ends with its call.
//!
//! Those of a session are made one after the other, so that it stands in the line of its address once, however many
//! calls it has open: neighbours wait for one of them at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use vixen_broker::api::SessionId;
use vixen_broker::api::calls::MetaError;
use vixen_broker::dealer::CallNumber;

use super::Events;

/// Reads of a session: the one that is made, and those that wait for it.
const PER_SESSION_MAX: usize = 8;

/// See the module.
#[derive(Default)]
pub(in crate::node) struct Tasks {
    /// Calls whose topics other entries are asked for.
    awaited: BTreeMap<CallNumber, Events>,
    tasks: BTreeMap<CallNumber, (SessionId, Task)>,
    sessions: BTreeMap<SessionId, Own>,
}

/// What a session has.
#[derive(Default)]
struct Own {
    reads: usize,
    turn: Arc<Mutex<()>>,
}

/// Dropping it ends the task, wherever that waits.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tasks {
    /// Reads for an open call, after those that its session has asked for before.
    ///
    /// # Errors
    /// As many of them are open as may be.
    pub(super) fn start(
        &mut self,
        session: SessionId,
        number: CallNumber,
        read: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), MetaError> {
        let own = self.sessions.entry(session).or_default();
        if own.reads >= PER_SESSION_MAX {
            return Err(MetaError::TooManyReads { max: PER_SESSION_MAX });
        }
        own.reads += 1;
        let turn = Arc::clone(&own.turn);
        let task = tokio::spawn(async move {
            let _turn = turn.lock_owned().await;
            read.await;
        });
        self.tasks.insert(number, (session, Task(task.abort_handle())));
        Ok(())
    }

    /// A call waits for other entries to say what its topics are.
    pub(in crate::node::meta) fn await_topics(&mut self, number: CallNumber, events: Events) {
        self.awaited.insert(number, events);
    }

    /// They have. What the call asks for, if it is open.
    pub(super) fn take_topics(&mut self, number: CallNumber) -> Option<Events> {
        self.awaited.remove(&number)
    }

    /// A call is over, be it one for which something is read or another.
    pub(in crate::node) fn end(&mut self, number: CallNumber) {
        self.awaited.remove(&number);
        let Some((session, _task)) = self.tasks.remove(&number) else { return };
        if let Some(own) = self.sessions.get_mut(&session) {
            own.reads -= 1;
            if own.reads == 0 {
                self.sessions.remove(&session);
            }
        }
    }

    /// Calls that wait for topics.
    #[cfg(test)]
    pub(in crate::node) fn awaited(&self) -> usize {
        self.awaited.len()
    }

    /// Calls for which something is read.
    #[cfg(test)]
    pub(in crate::node) fn open(&self) -> usize {
        self.tasks.len()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// A read that never ends, and tells when it begins.
    async fn endless(began: oneshot::Sender<()>) {
        let _told = began.send(());
        std::future::pending::<()>().await;
    }

    #[tokio::test]
    async fn a_read_ends_with_its_call_and_the_next_one_begins() {
        let mut tasks = Tasks::default();
        let (one_began, one_has) = oneshot::channel();
        let (two_began, mut two_has) = oneshot::channel();
        tasks.start(SessionId(1), CallNumber(1), endless(one_began)).expect("room");
        tasks.start(SessionId(1), CallNumber(2), endless(two_began)).expect("room");
        one_has.await.expect("it is made");
        tokio::task::yield_now().await;
        assert!(two_has.try_recv().is_err(), "one after the other");
        tasks.end(CallNumber(1));
        two_has.await.expect("it is made once the first is gone");
        // One that waits goes without having been made.
        let (three_began, three_has) = oneshot::channel();
        tasks.start(SessionId(1), CallNumber(3), endless(three_began)).expect("room");
        tasks.end(CallNumber(3));
        three_has.await.expect_err("it was never made, and is gone");
        tasks.end(CallNumber(2));
        assert!(tasks.tasks.is_empty() && tasks.sessions.is_empty());
    }

    #[tokio::test]
    async fn a_session_has_so_many_reads_and_keeps_nobody_from_his() {
        let mut tasks = Tasks::default();
        let start = |tasks: &mut Tasks, session, number| {
            let (began, has_begun) = oneshot::channel();
            tasks.start(SessionId(session), CallNumber(number), endless(began)).map(|()| has_begun)
        };
        let mut all = Vec::new();
        for number in 1..=8 {
            all.push(start(&mut tasks, 1, number).expect("room"));
        }
        let full = start(&mut tasks, 1, 9).expect_err("one too many");
        assert_eq!(full, MetaError::TooManyReads { max: 8 });
        let others = start(&mut tasks, 2, 10).expect("another session has its own");
        others.await.expect("and does not wait");
        tasks.end(CallNumber(5));
        start(&mut tasks, 1, 11).expect("room again");
        assert_eq!(tasks.open(), 9);
    }
}
