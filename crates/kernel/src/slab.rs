//! A vector with holes: indices stay valid until removed and are handed out again in a fixed order.
//!
//! It grows by chunks, so that its items are never copied: a machine has tens of thousands of
//! sockets, and a run makes new ones.

/// Items of a chunk.
const CHUNK: usize = 512;

/// Values by index.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    /// All full but the last one. The first one grows to its size, as most machines are small.
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

/// The chunk of an index, and the place in it.
#[inline]
fn split(i: u32) -> (usize, usize) {
    (i as usize / CHUNK, i as usize % CHUNK)
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(i) => {
                let (chunk, place) = split(i);
                self.chunks[chunk][place] = Some(value);
                i
            }
            None => self.push(value),
        }
    }

    fn push(&mut self, value: T) -> u32 {
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let full = self.chunks.len() - 1;
        let last = &mut self.chunks[full];
        let index = full * CHUNK + last.len();
        last.push(Some(value));
        u32::try_from(index).expect("fewer than 2^32 items")
    }

    pub(crate) fn remove(&mut self, i: u32) -> T {
        let (chunk, place) = split(i);
        let value = self.chunks[chunk][place].take();
        self.free.push(i);
        value.expect("the item is there")
    }

    pub(crate) fn get(&self, i: u32) -> Option<&T> {
        let (chunk, place) = split(i);
        self.chunks.get(chunk)?.get(place)?.as_ref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let items = self.chunks.iter().flatten().enumerate();
        items.filter_map(|(i, v)| Some((i as u32, v.as_ref()?)))
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    #[inline]
    fn index(&self, i: u32) -> &T {
        let (chunk, place) = split(i);
        self.chunks[chunk][place]
            .as_ref()
            .expect("the item is there")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, i: u32) -> &mut T {
        let (chunk, place) = split(i);
        self.chunks[chunk][place]
            .as_mut()
            .expect("the item is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_go_on_and_are_handed_out_again() {
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
