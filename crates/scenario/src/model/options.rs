use fourtuple_syscall::{OptId, PortRange, SockOpt};

/// Socket options to set before `bind`, each at most once.
///
/// They are kept and set in the order of [`SockOpt::TABLE`]; a scenario that needs another order
/// uses several `set` steps.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Options(Vec<SockOpt>);

impl Options {
    /// Iterates over the options in the order in which engines set them.
    pub fn iter(&self) -> impl Iterator<Item = SockOpt> {
        self.0.iter().copied()
    }

    /// The value of one option, if it is set.
    pub fn get(&self, id: OptId) -> Option<SockOpt> {
        self.iter().find(|option| option.id() == id)
    }

    /// Returns `true` if an option is enabled.
    pub fn has(&self, on: SockOpt) -> bool {
        self.0.contains(&on)
    }

    /// The range of `IP_LOCAL_PORT_RANGE`, if it is set.
    pub fn local_port_range(&self) -> Option<PortRange> {
        match self.get(OptId::LocalPortRange) {
            Some(SockOpt::LocalPortRange(range)) => Some(range),
            _ => None,
        }
    }

    /// Returns `true` if no option is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets one option, replacing its former value.
    pub fn set(&mut self, option: SockOpt) {
        match self.0.binary_search_by_key(&option.id(), |one| one.id()) {
            Ok(at) => self.0[at] = option,
            Err(at) => self.0.insert(at, option),
        }
    }
}
