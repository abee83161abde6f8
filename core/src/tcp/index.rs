//! Finds the connection of a segment by its endpoints: a hash table of eight bytes each beside the connections, and in
//! front of it those that were found last.

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::key::FlowKey;

/// Connections that are found without the table: two to the power of ten.
const LATEST: usize = 1 << 10;

/// Entry of the table: eight bytes, so that the index of many connections stays in the processor's cache.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Upper half of the key's hash: a mismatch needs no look at the connection.
    tag: u32,
    id: u32,
}

/// Numbers of connections by their keys, which stand with the connections: whoever asks says where.
#[derive(Debug)]
pub(super) struct Index {
    hasher: DefaultHashBuilder,
    places: HashTable<Slot>,
    /// Connections that were found last, by [`FlowKey::mix`]: 8 KB that stay in the processor's nearest cache.
    latest: Box<[Slot; LATEST]>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            places: HashTable::new(),
            latest: Box::new([Slot { tag: 0, id: 0 }; LATEST]),
        }
    }

    /// The connection with this key; `is` says whether a connection has it.
    pub(super) fn find(&self, key: &FlowKey, is: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let same = |place: &Slot| place.tag == tag(hash) && is(place.id);
        self.places.find(hash, same).map(|place| place.id)
    }

    /// [`Self::find`], remembering its answer: most packets are of connections that had one a moment ago. `is_current`
    /// says whether a connection still has the key to itself.
    #[inline]
    pub(super) fn find_again(
        &mut self,
        key: &FlowKey,
        is_current: impl Fn(u32) -> bool,
        is: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let mix = key.mix();
        let place = usize::try_from(mix >> 54).unwrap_or(0);
        if let Some(latest) = self.latest.get(place)
            && latest.tag == tag(mix << 10)
            && is_current(latest.id)
        {
            return Some(latest.id);
        }
        let id = self.find(key, is)?;
        if let Some(latest) = self.latest.get_mut(place) {
            *latest = Slot {
                tag: tag(mix << 10),
                id,
            };
        }
        Some(id)
    }

    /// Makes `id` the connection with this key; `key_of` gives the keys of those that are here.
    pub(super) fn insert(&mut self, key: &FlowKey, id: u32, key_of: impl Fn(u32) -> Option<FlowKey>) {
        let (hash, hasher) = (self.hasher.hash_one(key), &self.hasher);
        let same = |place: &Slot| place.tag == tag(hash) && key_of(place.id) == Some(*key);
        let rehash = |place: &Slot| key_of(place.id).map_or(0, |key| hasher.hash_one(key));
        match self.places.entry(hash, same, rehash) {
            Entry::Occupied(mut known) => known.get_mut().id = id,
            Entry::Vacant(free) => {
                free.insert(Slot { tag: tag(hash), id });
            }
        }
    }

    /// Takes `id` out, which had this key.
    pub(super) fn remove(&mut self, key: &FlowKey, id: u32) {
        let hash = self.hasher.hash_one(key);
        if let Ok(known) = self.places.find_entry(hash, |place| place.id == id) {
            known.remove();
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // the upper half of 64 bits is 32 bits
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}
