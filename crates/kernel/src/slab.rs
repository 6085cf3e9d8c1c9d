//! A vector with holes: indices stay valid until removed and are handed out again in a fixed order.
//!
//! It grows by chunks: nothing that is there moves, and a large one has no half that is empty.

/// Items of a chunk.
const CHUNK: usize = 512;

/// Values by index.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    /// All but the last are full.
    chunks: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            chunks: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(i) => {
                *self.slot(i) = Some(value);
                i
            }
            None => self.push(value),
        }
    }

    fn push(&mut self, value: T) -> u32 {
        let room = |chunk: &Vec<Option<T>>| chunk.len() < CHUNK;
        if !self.chunks.last().is_some_and(room) {
            // Most slabs have a few items only: the first chunk grows with them.
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("there is one now");
        chunk.push(Some(value));
        u32::try_from(before + chunk.len() - 1).expect("fewer than 2^32 items")
    }

    fn slot(&mut self, i: u32) -> &mut Option<T> {
        let i = i as usize;
        &mut self.chunks[i / CHUNK][i % CHUNK]
    }

    pub(crate) fn remove(&mut self, i: u32) -> T {
        let value = self.slot(i).take().expect("the item is there");
        self.free.push(i);
        value
    }

    pub(crate) fn get(&self, i: u32) -> Option<&T> {
        let i = i as usize;
        self.chunks.get(i / CHUNK)?.get(i % CHUNK)?.as_ref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks
            .iter()
            .flatten()
            .enumerate()
            .filter_map(|(i, v)| Some((i as u32, v.as_ref()?)))
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    #[inline]
    fn index(&self, i: u32) -> &T {
        let i = i as usize;
        self.chunks[i / CHUNK][i % CHUNK]
            .as_ref()
            .expect("the item is there")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, i: u32) -> &mut T {
        self.slot(i).as_mut().expect("the item is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_go_on_over_chunks_and_are_handed_out_again() {
        let mut slab = Slab::default();
        let many = 3 * CHUNK as u32 + 7;
        for n in 0..many {
            assert_eq!(slab.insert(n * 10), n);
        }
        for n in [1, CHUNK as u32, many - 1] {
            assert_eq!(slab.remove(n), n * 10);
            assert_eq!(slab.get(n), None);
        }
        assert_eq!(slab.iter().count() as u32, many - 3);
        assert!(slab.iter().all(|(i, v)| i * 10 == *v && slab[i] == *v));
        let mut copy = slab.clone();
        for slab in [&mut slab, &mut copy] {
            let again = [many - 1, CHUNK as u32, 1, many, many + 1];
            assert_eq!(again.map(|n| slab.insert(n)), again);
            slab[many] += 1;
            assert_eq!((slab[many], slab.get(many + 2)), (many + 1, None));
        }
    }
}
