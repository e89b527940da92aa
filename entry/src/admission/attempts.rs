//! Attempts: logins that a procedure decides, between the ticket and the decision.
//!
//! Of those that are under way for the same name, or from the same address, there are as many as may yet fail: else
//! many connections that were opened at once would have a guess each. The others wait.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{Admission, count_failure, lock};
use crate::auth::{Account, Decision, Identity, Pending, Principal, Refusal, Tried, Unfit};

/// One of them. Others may be tried once it is dropped, after it was counted.
#[derive(Debug)]
pub(crate) struct Attempt {
    admission: Arc<Admission>,
    address: IpAddr,
    account: Account,
    name: Arc<str>,
    /// It has failed, and that is not counted.
    is_denied: AtomicBool,
}

impl Attempt {
    /// The procedure says no. Who does not wait for that has guessed all the same: unless somebody takes it, it counts
    /// as the attempt ends.
    pub(crate) fn deny(&self) {
        self.is_denied.store(true, Ordering::Release);
    }

    /// Why nobody comes in to that realm as its authenticator has decided, if that is so.
    pub(crate) fn unfit(&self, realm: &str, principal: &Principal) -> Option<Unfit> {
        self.admission.realms.unfit(realm, principal)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if *self.is_denied.get_mut() {
            count_failure(Refusal::Denied);
            self.admission.failed(self.address, self.account, &self.name);
        }
        lock(&self.admission.failures).end_try(self.address, self.account);
        self.admission.attempts.send_modify(|over| *over += 1);
    }
}

impl Admission {
    /// Begins a login that a procedure decides, as soon as it may be tried. Cancel safe.
    ///
    /// # Errors
    /// Too many logins have failed.
    pub(crate) async fn attempt(
        self: &Arc<Self>,
        address: IpAddr,
        account: Account,
        name: Arc<str>,
    ) -> Result<Attempt, Refusal> {
        let mut over = self.attempts.subscribe();
        loop {
            // Before it is asked: no end of another falls between the two.
            over.mark_unchanged();
            let tried = lock(&self.failures).begin_try(address, account, Instant::now());
            match tried {
                Tried::Begun => {
                    let (admission, is_denied) = (Arc::clone(self), AtomicBool::new(false));
                    return Ok(Attempt { admission, address, account, name, is_denied });
                }
                Tried::Closed => {
                    count_failure(Refusal::Throttled);
                    return Err(Refusal::Throttled);
                }
                Tried::Crowded => {}
            }
            if over.changed().await.is_err() {
                // Admission is gone, and the node with it: that is learnt otherwise.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes what the procedure has decided about a login that was tried, and counts it.
    ///
    /// # Errors
    /// Nobody comes in.
    pub(crate) fn decide(
        &self,
        address: IpAddr,
        pending: Pending,
        decision: Decision,
        attempt: Option<&Attempt>,
    ) -> Result<Identity, Refusal> {
        // Once.
        if let Some(attempt) = attempt.filter(|_| decision == Decision::Denied) {
            attempt.is_denied.store(false, Ordering::Release);
        }
        let (account, name) = (pending.account(), pending.name());
        let outcome = self.realms.decide(pending, decision);
        self.count(address, account, &name, &outcome);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use futures_util::FutureExt as _;

    use vixen_runtime::config::Config;

    use super::*;

    #[test]
    fn guesses_that_are_decided_later_are_no_more_than_may_fail() {
        let mut config = Config::nearcast(PathBuf::from("unused"), ([127, 0, 0, 1], 0).into());
        config.limits.login_failures_max = 2;
        let admission = Arc::new(Admission::new(&config));
        let (address, joe) = (IpAddr::from([10, 0, 0, 1]), Account::of("r", "joe"));
        let try_as = |address, account| admission.attempt(address, account, "a name".into());
        let attempt = || try_as(address, joe).now_or_never();
        let first = attempt().expect("at once").expect("the first");
        let second = attempt().expect("at once").expect("the second");
        let mut third = Box::pin(try_as(address, joe));
        assert!((&mut third).now_or_never().is_none(), "it waits");
        let elsewhere = IpAddr::from([10, 0, 0, 2]);
        let other = Account::of("r", "anna");
        assert!(try_as(elsewhere, joe).now_or_never().is_none(), "the same name");
        assert!(try_as(address, other).now_or_never().is_none(), "the same address");
        assert!(try_as(elsewhere, other).now_or_never().is_some(), "nothing of it");
        // One that succeeds, or that nobody waits for, takes nothing from others.
        drop(first);
        let third = third.now_or_never().expect("it goes on").expect("the third");
        // Both fail: who has waited is refused.
        let mut fourth = Box::pin(try_as(address, joe));
        assert!((&mut fourth).now_or_never().is_none());
        for attempt in [second, third] {
            admission.failed(address, joe, "joe");
            drop(attempt);
        }
        let refused = fourth.now_or_never().expect("decided").map(drop);
        assert_eq!(refused, Err(Refusal::Throttled));
        assert_eq!(attempt().expect("at once").map(drop), Err(Refusal::Throttled));
    }

    #[test]
    fn who_hangs_up_before_a_no_has_failed() {
        let mut config = Config::nearcast(PathBuf::from("unused"), ([127, 0, 0, 1], 0).into());
        config.limits.login_failures_max = 1;
        let admission = Arc::new(Admission::new(&config));
        let (address, joe) = (IpAddr::from([10, 0, 0, 1]), Account::of("r", "joe"));
        let attempt =
            || admission.attempt(address, joe, "joe".into()).now_or_never().expect("at once");
        // Nobody knows what it would have been.
        drop(attempt().expect("the first"));
        let denied = Arc::new(attempt().expect("the second"));
        let of_who_asks = Arc::clone(&denied);
        denied.deny();
        drop(of_who_asks);
        drop(denied);
        assert_eq!(attempt().map(drop), Err(Refusal::Throttled));
    }
}
