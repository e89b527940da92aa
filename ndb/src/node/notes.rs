//! What the core notes, in the log and the metrics.

use vixen_core::id::Position;
use vixen_core::wire::{DraftAnswer, Nowhere, PeerId};
use vixen_replica::{CatchUpReport, DiskNews, DiskRoom, Note};

use super::NdbNode;

impl NdbNode {
    pub(super) fn note(&self, note: Note) {
        let (metrics, roster) = (&self.metrics, &self.options.roster);
        match note {
            Note::Order(note) => metrics.reader.note(&note, roster),
            Note::Refused(refused) => metrics.refused(refused),
            Note::NotForNdb { from, message } => self.note_not_for_ndb(from, message),
            Note::Committed { segments, bytes, repaired, elapsed } => {
                metrics.commits.increment(1);
                metrics.commit_seconds.record(elapsed.as_secs_f64());
                metrics.segments_stored.increment(segments as u64);
                metrics.bytes_stored.increment(bytes as u64);
                metrics.rows_repaired.increment(repaired as u64);
            }
            Note::Placed { messages } => metrics.messages_placed.increment(messages),
            Note::Fetched { segments } => metrics.fetched.increment(segments),
            Note::Dropped { segments } => metrics.dropped.increment(segments as u64),
            Note::Offered { segments } => metrics.offered.increment(segments as u64),
            Note::AskingForOrder { peer, from } => {
                tracing::debug!(peer = %roster.ndb(peer), position = %from, "asking for the order");
            }
            Note::AskingForSegments { peer, segments } => {
                let peer = roster.ndb(peer);
                tracing::debug!(%peer, segments, "asking for missing segments");
            }
            Note::DiskRoom(room) => self.say_room(room),
            Note::Disk(news) => self.say_disk(news),
            Note::Nowhere { before, now } => self.say_nowhere(before, now),
            Note::CatchUp { report, is_said } => self.note_catch_up(report, is_said),
            Note::DraftAnswered { .. } | Note::Expired { .. } => self.note_draft(&note),
            Note::LeftBehind { .. }
            | Note::TrimmedTo { .. }
            | Note::Extended { .. }
            | Note::KeptByGroup { .. }
            | Note::WaitsToDrop { .. } => self.note_extent(&note),
            Note::ChainDiffers { .. } | Note::ChainsDiffering { .. } | Note::Trusted { .. } => {
                self.note_audit(&note);
            }
            Note::Damaged { .. }
            | Note::DamagedPending { .. }
            | Note::DamagedRow { .. }
            | Note::Reindexed
            | Note::IndexAtOdds { .. }
            | Note::IndexMended { .. } => self.note_damage(&note),
        }
    }

    fn note_not_for_ndb(&self, from: PeerId, message: &'static str) {
        self.metrics.refused_messages.increment(1);
        let peer = self.links.values().find(|linked| linked.peer == from);
        let peer = peer.map(|linked| linked.name.as_str());
        tracing::warn!(peer, message, "message is not for an ndb node");
    }

    fn say_room(&self, room: DiskRoom) {
        let path = self.options.dir.display();
        let DiskRoom { free: free_bytes, reserve: reserve_bytes, is_low } = room;
        if is_low {
            tracing::error!(
                %path,
                free_bytes,
                reserve_bytes,
                "the disk is full up to its reserve: no new segments are taken, reads go on"
            );
        } else {
            tracing::info!(%path, free_bytes, "the disk has room again: segments are taken");
        }
    }

    /// The disk has fallen silent, or has answered.
    fn say_disk(&self, news: DiskNews) {
        match news {
            DiskNews::Stalled => {
                self.metrics.disk_stalls.increment(1);
                tracing::warn!(
                    "the disk does not answer: what is to be written waits, reads go on where they can"
                );
            }
            DiskNews::Back(after) => {
                let stalled_s = format!("{:.1}", after.as_secs_f64());
                tracing::info!(stalled_s, "the disk answers again");
            }
        }
    }

    /// Placed segments that no node of the group has.
    fn say_nowhere(&self, before: Nowhere, now: Nowhere) {
        let (group, segments) = (self.options.id.group, now.segments);
        self.metrics.nowhere(segments);
        if segments > before.segments {
            tracing::error!(
                %group, segments,
                "placed segments are at no node of the group: their messages are lost unless a store \
                 that has them is put back"
            );
        } else if segments == 0 {
            tracing::info!(%group, "all placed segments are at nodes of the group, or here");
        }
    }

    fn note_catch_up(&self, report: CatchUpReport, is_said: bool) {
        self.metrics.catch_up(report.segments, report.bytes);
        if is_said {
            tracing::info!(
                segments_to_go = report.segments,
                mib_to_go = report.bytes >> 20,
                segments_per_second = report.per_second,
                seconds_to_go = report.seconds_to_go,
                position = %self.core.reader().next_position(),
                "catching up"
            );
        }
    }

    /// Segments that are held here get no draft.
    fn note_draft(&self, note: &Note) {
        match note {
            Note::DraftAnswered { from, segment, answer } => {
                self.metrics.draft_answered(*answer);
                if *answer == DraftAnswer::Elected {
                    let peer = self.options.roster.sync(*from);
                    tracing::debug!(%segment, %peer, "elected: the feed tells, or is trimmed");
                }
            }
            Note::Expired { segment } => tracing::warn!(
                %segment,
                "owners as old as that of this segment are forgotten, and it never was \
                 acknowledged: it is dropped, and its entry, if it runs, sends its messages again"
            ),
            _not_of_drafts => {}
        }
    }

    /// Where the order begins here.
    fn note_extent(&self, note: &Note) {
        match note {
            Note::LeftBehind { next, first } => tracing::warn!(
                position = %next, %first,
                "retention has dropped at all peers what comes next here: the order goes on after it"
            ),
            Note::TrimmedTo { first } => {
                self.metrics.first_position(*first);
                tracing::info!(position = %first, "the order begins here now");
            }
            Note::Extended { first, rows } => {
                self.metrics.reader.rows_fetched.increment(*rows as u64);
                self.metrics.first_position(*first);
                tracing::info!(position = %first, "the order begins here now, as at peers");
            }
            Note::KeptByGroup { base, first } => tracing::warn!(
                position = %base, %first,
                "the order begins here, and earlier at peers of the group: what is between is fetched"
            ),
            Note::WaitsToDrop { keep_from } => tracing::info!(
                %keep_from,
                "days before this one would go, and stay until a majority of the group agrees"
            ),
            _not_of_the_extent => {}
        }
    }

    /// Whether the order here is that of the others.
    fn note_audit(&self, note: &Note) {
        match note {
            Note::ChainDiffers { peer, next } => {
                self.metrics.chain_differences.increment(1);
                tracing::error!(
                    peer = %self.options.roster.ndb(*peer), position = %next,
                    "the order of this peer is another than the order here"
                );
            }
            Note::ChainsDiffering { peers } => self.metrics.chains_differing(*peers),
            Note::Trusted { to } if *to != Position(u64::MAX) => tracing::error!(
                position = %to,
                "most ndb nodes have another order from here on: this node does not give it out; \
                 stop it, keep its directory for analysis, and rebuild it from its peers"
            ),
            _not_of_the_audit => {}
        }
    }

    /// Something stored is not as it was written.
    fn note_damage(&self, note: &Note) {
        match note {
            Note::Damaged { lost, are_gone } => {
                self.metrics.damaged.increment(1);
                let (segment, position) = (lost.meta.id, lost.first);
                if *are_gone {
                    tracing::error!(%segment, %position, "stored bytes are gone, asking peers");
                } else {
                    tracing::error!(%segment, %position, "stored bytes are damaged, asking peers");
                }
            }
            Note::DamagedPending { segment } => {
                self.metrics.damaged.increment(1);
                tracing::error!(
                    %segment,
                    "stored bytes of a segment without a place are damaged, asking peers"
                );
            }
            Note::DamagedRow { at } => {
                self.metrics.damaged_rows.increment(1);
                tracing::error!(position = %at, "a row of the order is damaged, asking peers");
            }
            Note::Reindexed => self.metrics.reindexed.increment(1),
            Note::IndexAtOdds { day, is_new } => {
                self.metrics.index_at_odds.increment(1);
                if *is_new {
                    tracing::error!(
                        %day,
                        "the topic index of the day and its order are at odds: it is read by the \
                         order, and indexed anew"
                    );
                }
            }
            Note::IndexMended { day } => {
                tracing::info!(%day, "the topic index of the day is mended");
            }
            _not_of_damage => {}
        }
    }
}
