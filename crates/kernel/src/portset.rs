//! Sets of ports as bits, and a table indexed by port; both are allocated in pages so that a
//! namespace with few ports stays small.

const PAGE_WORDS: usize = 64;
const PAGES: usize = 65536 / 64 / PAGE_WORDS;

/// A set of ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortSet {
    pages: [Option<Box<[u64; PAGE_WORDS]>>; PAGES],
}

impl PortSet {
    pub(crate) fn insert(&mut self, port: u16) {
        let word = usize::from(port) / 64;
        let page = self.pages[word / PAGE_WORDS].get_or_insert_with(|| Box::new([0; PAGE_WORDS]));
        page[word % PAGE_WORDS] |= 1 << (port % 64);
    }

    pub(crate) fn remove(&mut self, port: u16) {
        let word = usize::from(port) / 64;
        if let Some(page) = &mut self.pages[word / PAGE_WORDS] {
            page[word % PAGE_WORDS] &= !(1 << (port % 64));
        }
    }

    pub(crate) fn contains(&self, port: u16) -> bool {
        self.word(usize::from(port) / 64) >> (port % 64) & 1 == 1
    }

    /// The bits of ports `64 * index ..`.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.pages[index / PAGE_WORDS]
            .as_ref()
            .map_or(0, |p| p[index % PAGE_WORDS])
    }
}

const SLOTS: usize = 256;

/// An index per port, [`crate::socket::NONE`] where there is none.
#[derive(Clone, Debug)]
pub(crate) struct PortMap {
    pages: Vec<Option<Box<[u32; SLOTS]>>>,
}

impl Default for PortMap {
    fn default() -> Self {
        PortMap {
            pages: vec![None; 65536 / SLOTS],
        }
    }
}

impl PortMap {
    pub(crate) fn get(&self, port: u16) -> Option<u32> {
        let page = self.pages[usize::from(port) / SLOTS].as_ref()?;
        let i = page[usize::from(port) % SLOTS];
        (i != crate::socket::NONE).then_some(i)
    }

    pub(crate) fn set(&mut self, port: u16, index: u32) {
        let page = self.pages[usize::from(port) / SLOTS]
            .get_or_insert_with(|| Box::new([crate::socket::NONE; SLOTS]));
        page[usize::from(port) % SLOTS] = index;
    }

    pub(crate) fn clear(&mut self, port: u16) {
        if let Some(page) = &mut self.pages[usize::from(port) / SLOTS] {
            page[usize::from(port) % SLOTS] = crate::socket::NONE;
        }
    }
}
