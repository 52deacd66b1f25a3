//! Whether everything expected was read to its end.
//!
//! Pure. A share is done when an incarnation says so in its closing records, each of which also tells how many there are:
//! once that many were read, in whatever partitions, the share holds nothing unread.

use std::collections::{BTreeMap, BTreeSet};

use ottla_contract::config::ExpectedRun;
use ottla_contract::report::StreamSnapshot;
use ottla_contract::{Incarnation, RunId};

/// Why it is not complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// No stream is known at all.
    Anything,
    /// A share that nobody finished.
    Share(RunId, u32),
    /// An incarnation's closing records are not all read.
    Closings(Incarnation),
    /// An open stream of a run that has no shares.
    Open(Incarnation),
}

/// What is missing, given the streams of every partition of the topic.
pub(super) fn missing(expected: &[ExpectedRun], streams: &[StreamSnapshot]) -> Option<Missing> {
    if streams.is_empty() {
        return Some(Missing::Anything);
    }
    let mut shares: BTreeSet<(RunId, u32)> = expected
        .iter()
        .flat_map(|run| (0..run.shares).map(|index| (run.id, index)))
        .collect();
    for stream in streams {
        shares.extend((0..stream.share.of).map(|index| (stream.run, index)));
    }
    let mut closed: BTreeMap<Incarnation, u32> = BTreeMap::new();
    let mut done: BTreeMap<(RunId, u32), Incarnation> = BTreeMap::new();
    for stream in streams {
        let Some(closing) = stream.closing else { continue };
        *closed.entry(stream.incarnation).or_default() += 1;
        if closing.share_done {
            done.insert((stream.run, stream.share.index), stream.incarnation);
        }
    }
    if let Some((run, index)) = shares.iter().find(|share| !done.contains_key(share)) {
        return Some(Missing::Share(*run, *index));
    }
    let unread = streams.iter().find(|stream| {
        stream.closing.is_some_and(|closing| {
            let superseded = is_superseded(stream, &done);
            !superseded
                && closed
                    .get(&stream.incarnation)
                    .is_none_or(|count| *count < closing.streams)
        })
    });
    if let Some(stream) = unread {
        return Some(Missing::Closings(stream.incarnation));
    }
    let open = streams
        .iter()
        .find(|stream| stream.closing.is_none() && !is_superseded(stream, &done));
    open.map(|stream| Missing::Open(stream.incarnation))
}

/// Whether another incarnation has done the share: this one is dead, and what it left open stays open.
fn is_superseded(stream: &StreamSnapshot, done: &BTreeMap<(RunId, u32), Incarnation>) -> bool {
    let by = done.get(&(stream.run, stream.share.index));
    !stream.share.is_endless() && by.is_some_and(|by| *by != stream.incarnation)
}

#[cfg(test)]
mod tests {
    use ottla_contract::report::Closing;
    use ottla_contract::{Share, Uid};

    use super::*;

    const RUN: RunId = RunId {
        uid: Uid([1; 16]),
        run: 1,
    };

    fn stream(id: u64, index: u32, closing: Option<(bool, u32)>) -> StreamSnapshot {
        StreamSnapshot {
            run: RUN,
            incarnation: Incarnation(id),
            share: Share { index, of: 2 },
            closing: closing.map(|(share_done, streams)| Closing { share_done, streams }),
            ..StreamSnapshot::default()
        }
    }

    #[test]
    fn it_takes_every_closing_record_of_every_share() {
        let all = [
            stream(1, 0, Some((true, 2))),
            stream(1, 0, Some((true, 2))),
            stream(2, 1, Some((true, 1))),
        ];
        assert_eq!(missing(&[], &all), None);
        assert_eq!(missing(&[], &all[..2]), Some(Missing::Share(RUN, 1)));
        assert_eq!(missing(&[], &all[1..]), Some(Missing::Closings(Incarnation(1))));
        assert_eq!(missing(&[], &[]), Some(Missing::Anything));
        let other = RunId { run: 9, ..RUN };
        assert_eq!(
            missing(&[ExpectedRun { id: other, shares: 1 }], &all),
            Some(Missing::Share(other, 0))
        );
    }

    #[test]
    fn the_dead_are_not_waited_for() {
        let done = [stream(1, 0, Some((true, 1))), stream(2, 1, Some((true, 1)))];
        for dead in [stream(3, 0, None), stream(3, 0, Some((false, 5)))] {
            let mut streams = done.to_vec();
            streams.push(dead);
            assert_eq!(missing(&[], &streams), None);
        }
    }

    #[test]
    fn an_endless_run_must_close() {
        let endless = |closing| StreamSnapshot {
            share: Share::default(),
            ..stream(4, 0, closing)
        };
        assert_eq!(
            missing(&[], &[endless(None)]),
            Some(Missing::Open(Incarnation(4)))
        );
        assert_eq!(missing(&[], &[endless(Some((false, 1)))]), None);
        assert_eq!(
            missing(&[], &[endless(Some((false, 2)))]),
            Some(Missing::Closings(Incarnation(4)))
        );
    }
}
