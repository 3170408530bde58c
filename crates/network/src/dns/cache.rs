//! Answers of other servers, remembered as long as they say themselves.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::message::lifetimes;

/// How many answers are remembered: half a megabyte of usual ones.
const ROOM: usize = 2048;

/// The longest that any is.
const LONGEST: Duration = Duration::from_secs(3600);

/// The number of a message, which is another one each time.
const NUMBER: usize = 2;

/// Where was asked, and all of the query but its number. So an answer fits word for word.
type Key = (Vec<IpAddr>, Vec<u8>);

#[derive(Debug)]
struct Kept {
    answer: Vec<u8>,
    since: Instant,
    lifetime: Duration,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<Key, Kept>>);

impl Cache {
    /// The answer to a query, with what is left of the lifetimes in it.
    pub(super) fn find(&self, servers: &[IpAddr], query: &[u8], now: Instant) -> Option<Vec<u8>> {
        let key = key(servers, query)?;
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get(&key)?;
        let age = now.saturating_duration_since(kept.since);
        if age >= kept.lifetime {
            return None;
        }
        let mut answer = kept.answer.clone();
        answer[..NUMBER].copy_from_slice(&query[..NUMBER]);
        let seconds = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        for (at, lifetime) in lifetimes(&kept.answer)?.places {
            answer[at..at + 4].copy_from_slice(&lifetime.saturating_sub(seconds).to_be_bytes());
        }
        Some(answer)
    }

    /// Remembers an answer, if it may be.
    pub(super) fn keep(&self, servers: &[IpAddr], query: &[u8], answer: &[u8], now: Instant) {
        let lifetime = lifetimes(answer).and_then(|lifetimes| lifetimes.shortest);
        let (Some(key), Some(lifetime)) = (key(servers, query), lifetime) else { return };
        if lifetime == 0 {
            return;
        }
        let lifetime = Duration::from_secs(lifetime.into()).min(LONGEST);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ROOM {
            all.retain(|_, kept| now.saturating_duration_since(kept.since) < kept.lifetime);
        }
        if all.len() >= ROOM {
            // Any one, as a map has them in no order.
            let Some(any) = all.keys().next().cloned() else { return };
            all.remove(&any);
        }
        all.insert(key, Kept { answer: answer.to_vec(), since: now, lifetime });
    }
}

fn key(servers: &[IpAddr], query: &[u8]) -> Option<Key> {
    Some((servers.to_vec(), query.get(NUMBER..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question for the address of `x`.
    fn query(number: u8) -> Vec<u8> {
        vec![0, number, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'x', 0, 0, 1, 0, 1]
    }

    /// `outcome` and one record, of the answer's section or of the authority's, that lives so long.
    fn answer(outcome: u8, section: usize, lifetime: u32) -> Vec<u8> {
        let mut answer = query(9);
        (answer[2], answer[3], answer[section]) = (0x81, 0x80 | outcome, 1);
        answer.extend([0xc0, 12, 0, 1, 0, 1]);
        answer.extend(lifetime.to_be_bytes());
        answer.extend([0, 4, 10, 0, 0, 1]);
        answer
    }

    const ANSWERS: usize = 7;
    const AUTHORITY: usize = 9;
    const SERVERS: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(9, 9, 9, 9))];

    #[test]
    fn an_answer_is_remembered_as_long_as_it_says() {
        let (cache, start) = (Cache::default(), Instant::now());
        cache.keep(&SERVERS, &query(1), &answer(0, ANSWERS, 60), start);
        let later = start + Duration::from_secs(20);
        let found = cache.find(&SERVERS, &query(7), later).unwrap();
        assert_eq!((found[1], &found[found.len() - 10..found.len() - 6]), (7, &40_u32.to_be_bytes()[..]));
        assert_eq!(cache.find(&SERVERS, &query(7), start + Duration::from_secs(60)), None);
        assert_eq!(cache.find(&[], &query(7), later), None, "asked elsewhere");
        let mut other = query(7);
        other[13] = b'y';
        assert_eq!(cache.find(&SERVERS, &other, later), None);
    }

    #[test]
    fn what_failed_or_was_cut_off_or_does_not_live_is_not_remembered() {
        let (cache, now) = (Cache::default(), Instant::now());
        let mut cut = answer(0, ANSWERS, 60);
        cut[2] |= 2;
        for poor in [answer(2, ANSWERS, 60), cut, answer(0, ANSWERS, 0), query(1), vec![1; 5]] {
            cache.keep(&SERVERS, &query(1), &poor, now);
            assert_eq!(cache.find(&SERVERS, &query(1), now), None, "{poor:?}");
        }
        cache.keep(&SERVERS, &query(1), &answer(3, AUTHORITY, 60), now);
        assert!(cache.find(&SERVERS, &query(1), now).is_some(), "that there is no such name");
    }

    #[test]
    fn there_is_room_for_so_many() {
        let (cache, now) = (Cache::default(), Instant::now());
        for number in 0..ROOM + 100 {
            let mut query = query(1);
            query[13..15].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
            cache.keep(&SERVERS, &query, &answer(0, ANSWERS, 60), now);
        }
        assert_eq!(cache.0.lock().unwrap().len(), ROOM);
    }
}
