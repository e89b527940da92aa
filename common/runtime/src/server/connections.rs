//! The connections of a port as they are: their places, and how those are told that have to go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{counter, describe_counter};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::places::{Full, PlaceId, Places};
use crate::address::AddressBlock;

const CONNECTIONS_CLOSED: &str = "vixen_common_idle_connections_closed_total";
const CONNECTIONS_REFUSED: &str = "vixen_common_connections_refused_total";

/// Gives the metrics their help texts.
pub(super) fn describe() {
    describe_counter!(CONNECTIONS_CLOSED, "Idle connections closed to make room for others");
    describe_counter!(CONNECTIONS_REFUSED, "Connections refused at accept, by limit");
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Connections(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    places: Places,
    closing: BTreeMap<PlaceId, Arc<Notify>>,
}

/// The place of one connection, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Arc<Connections>,
    id: PlaceId,
    closing: Arc<Notify>,
    is_idle: AtomicBool,
}

/// While it is there a request is being answered.
#[derive(Debug)]
pub(super) struct Work {
    place: Arc<Place>,
    stays: bool,
}

impl Connections {
    pub(crate) fn new(connections_max: usize, per_address_max: usize) -> Arc<Self> {
        let places = Places::new(connections_max, per_address_max);
        Arc::new(Self(Mutex::new(Inner { places, closing: BTreeMap::new() })))
    }

    /// A place for one more, which may have others closed.
    pub(crate) fn take(
        self: &Arc<Self>,
        block: AddressBlock,
        is_counted: bool,
    ) -> Result<Arc<Place>, Full> {
        let mut inner = self.lock();
        let taken = inner.places.take(block, is_counted, Instant::now());
        let (id, closed) = taken.inspect_err(|full| {
            counter!(CONNECTIONS_REFUSED, "limit" => full.key()).increment(1);
        })?;
        closed.into_iter().for_each(|place| inner.close(place));
        let closing = Arc::new(Notify::new());
        inner.closing.insert(id, Arc::clone(&closing));
        Ok(Arc::new(Place {
            connections: Arc::clone(self),
            id,
            closing,
            is_idle: AtomicBool::new(true),
        }))
    }

    /// Closes so many idle connections, if there are; returns how many.
    pub(crate) fn make_room(&self, wanted: usize) -> usize {
        let mut inner = self.lock();
        let mut made = 0;
        while made < wanted
            && let Some(place) = inner.places.make_room()
        {
            inner.close(place);
            made += 1;
        }
        made
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn close(&mut self, place: PlaceId) {
        counter!(CONNECTIONS_CLOSED).increment(1);
        if let Some(closing) = self.closing.remove(&place) {
            closing.notify_one();
        }
    }
}

impl Place {
    /// A request has come.
    pub(super) fn work(self: &Arc<Self>) -> Work {
        self.is_idle.store(false, Ordering::Relaxed);
        self.connections.lock().places.work(self.id);
        Work { place: Arc::clone(self), stays: false }
    }

    /// Resolves when the connection is to go.
    pub(super) async fn closing(&self) {
        self.closing.notified().await;
    }

    /// Whether no request is being answered.
    pub(super) fn is_idle(&self) -> bool {
        self.is_idle.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.connections.lock();
        inner.places.leave(self.id);
        inner.closing.remove(&self.id);
    }
}

impl Work {
    /// The connection is no HTTP any more: it is not idle until it ends.
    pub(super) fn stay(mut self) {
        self.stays = true;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.stays {
            self.place.connections.lock().places.rest(self.place.id, Instant::now());
            self.place.is_idle.store(true, Ordering::Relaxed);
        }
    }
}
