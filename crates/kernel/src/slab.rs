//! A vector with holes: indices stay valid until removed and are handed out again in a fixed order.
//!
//! A small one doubles, a large one grows by an eighth, which the allocator does without copying:
//! it has no half that is empty.

/// From so many items on a slab is large.
const LARGE: usize = 512;

/// Values by index.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            items: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(i) => {
                self.items[i as usize] = Some(value);
                i
            }
            None => self.push(value),
        }
    }

    fn push(&mut self, value: T) -> u32 {
        let len = self.items.len();
        if len == self.items.capacity() && len >= LARGE {
            self.items.reserve_exact(len / 8);
        }
        self.items.push(Some(value));
        u32::try_from(len).expect("fewer than 2^32 items")
    }

    pub(crate) fn remove(&mut self, i: u32) -> T {
        let value = self.items[i as usize].take().expect("the item is there");
        self.free.push(i);
        value
    }

    pub(crate) fn get(&self, i: u32) -> Option<&T> {
        self.items.get(i as usize)?.as_ref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.items
            .iter()
            .enumerate()
            .filter_map(|(i, v)| Some((i as u32, v.as_ref()?)))
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    #[inline]
    fn index(&self, i: u32) -> &T {
        self.items[i as usize].as_ref().expect("the item is there")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, i: u32) -> &mut T {
        self.items[i as usize].as_mut().expect("the item is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_go_on_and_are_handed_out_again() {
        let mut slab = Slab::default();
        let many = 3 * LARGE as u32 + 7;
        for n in 0..many {
            assert_eq!(slab.insert(n * 10), n);
        }
        for n in [1, LARGE as u32, many - 1] {
            assert_eq!(slab.remove(n), n * 10);
            assert_eq!(slab.get(n), None);
        }
        assert_eq!(slab.iter().count() as u32, many - 3);
        assert!(slab.iter().all(|(i, v)| i * 10 == *v && slab[i] == *v));
        let mut copy = slab.clone();
        for slab in [&mut slab, &mut copy] {
            let again = [many - 1, LARGE as u32, 1, many, many + 1];
            assert_eq!(again.map(|n| slab.insert(n)), again);
            slab[many] += 1;
            assert_eq!((slab[many], slab.get(many + 2)), (many + 1, None));
        }
    }
}
