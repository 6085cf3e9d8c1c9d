//! File descriptor tables: maps the descriptors of each task to sockets.
//!
//! A log with `-e trace=network,close` does not show how tasks were created. A task that appears
//! without a `clone` or `fork` is treated as a thread: it shares the descriptors of the first task.
//! If the descriptors contradict this, the reader records which task is a process of its own,
//! and starts again.

use std::collections::BTreeSet;

use indexmap::IndexMap;

/// The file behind a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fd {
    /// A TCP or UDP socket, by its index.
    Socket(usize),
    /// A socket of another kind.
    Other,
}

/// A conclusion from a contradiction, about a task whose creation the log does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// The task has a descriptor table of its own.
    Process(u32),
    /// The task shares the descriptor table of the first task.
    Thread(u32),
}

/// The conclusions about tasks whose creation the log does not show.
#[derive(Clone, Debug, Default)]
pub(super) struct Conclusions {
    processes: BTreeSet<u32>,
    threads: BTreeSet<u32>,
}

impl Conclusions {
    /// Adds a conclusion. Returns `false` if it is known, or contradicts an earlier one.
    pub(super) fn learn(&mut self, learned: Conclusion) -> bool {
        match learned {
            Conclusion::Process(pid) => !self.threads.contains(&pid) && self.processes.insert(pid),
            Conclusion::Thread(pid) => {
                self.processes.remove(&pid);
                self.threads.insert(pid)
            }
        }
    }

    fn may_be_process(&self, pid: u32) -> bool {
        !self.processes.contains(&pid) && !self.threads.contains(&pid)
    }
}

/// The result of a descriptor lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Unknown,
    Open(Fd),
    /// A socket that another process closed: this process still has it open.
    Revived(usize),
}

#[derive(Clone, Debug, Default)]
struct Table {
    /// Open descriptors, each with the task that opened it.
    open: IndexMap<u32, (Fd, u32)>,
    /// Closed descriptors: the task, the socket.
    closed: IndexMap<u32, (u32, usize)>,
    /// Running tasks that use the table.
    tasks: BTreeSet<u32>,
    /// The table of the parent, if the log does not show the fork.
    parent: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    of: IndexMap<u32, usize>,
    tables: Vec<Table>,
    /// The number of descriptors of each socket, over all tables.
    held: IndexMap<usize, usize>,
    known: Conclusions,
}

impl Tables {
    pub(super) fn new(known: Conclusions) -> Self {
        Self {
            known,
            ..Self::default()
        }
    }

    fn place(&mut self, pid: u32) -> usize {
        if let Some(place) = self.of.get(&pid) {
            return *place;
        }
        if self.tables.is_empty() {
            self.tables.push(Table::default());
        }
        let own = self.known.processes.contains(&pid) && !self.of.is_empty();
        let place = if own { self.copy(0, pid) } else { 0 };
        if own {
            self.tables[place].parent = Some(0);
        }
        self.of.insert(pid, place);
        self.tables[place].tasks.insert(pid);
        place
    }

    fn copy(&mut self, from: usize, child: u32) -> usize {
        let table = self.tables[from].clone();
        for (what, _) in table.open.values() {
            if let Fd::Socket(socket) = what {
                *self.held.entry(*socket).or_default() += 1;
            }
        }
        self.tables.push(Table {
            tasks: BTreeSet::from([child]),
            parent: None,
            ..table
        });
        self.tables.len() - 1
    }

    /// The later one of two tasks.
    fn later(&self, one: u32, other: u32) -> u32 {
        let place = |pid| self.of.get_index_of(&pid);
        if place(one) > place(other) {
            one
        } else {
            other
        }
    }

    /// The conclusion from a contradiction between two tasks: one of them has a table of its own.
    fn contradiction(&self, one: u32, other: u32) -> Option<Conclusion> {
        let later = self.later(one, other);
        let open = one != other && self.known.may_be_process(later);
        open.then_some(Conclusion::Process(later))
    }

    /// Looks a descriptor up.
    pub(super) fn get(&mut self, pid: u32, fd: u32) -> Result<Found, Conclusion> {
        let place = self.place(pid);
        let table = &self.tables[place];
        if let Some((found, _)) = table.open.get(&fd) {
            return Ok(Found::Open(*found));
        }
        if let Some((by, socket)) = table.closed.get(&fd).copied() {
            if self.of.get(&by) != Some(&place) {
                let table = &mut self.tables[place];
                table.closed.swap_remove(&fd);
                table.open.insert(fd, (Fd::Socket(socket), pid));
                *self.held.entry(socket).or_default() += 1;
                return Ok(Found::Revived(socket));
            }
            if let Some(learned) = self.contradiction(pid, by) {
                return Err(learned);
            }
        }
        let parent = table.parent.and_then(|parent| self.tables.get(parent));
        if parent.is_some_and(|parent| parent.open.contains_key(&fd)) {
            return Err(Conclusion::Thread(pid));
        }
        Ok(Found::Unknown)
    }

    /// Concludes that a descriptor differs from its entry in the table, because another task opened
    /// it.
    pub(super) fn is_wrong(&mut self, pid: u32, fd: u32) -> Option<Conclusion> {
        let place = self.place(pid);
        let (_, by) = self.tables[place].open.get(&fd).copied()?;
        self.contradiction(pid, by)
    }

    /// Sets the file of a descriptor. Returns the socket it referred to before, if it has no other
    /// descriptor.
    pub(super) fn put(&mut self, pid: u32, fd: u32, what: Fd) -> Result<Option<usize>, Conclusion> {
        let place = self.place(pid);
        // The kernel reused a number that another task has open: it is not open in this table.
        if let Some(learned) = self.is_wrong(pid, fd) {
            return Err(learned);
        }
        if let Fd::Socket(socket) = what {
            *self.held.entry(socket).or_default() += 1;
        }
        let table = &mut self.tables[place];
        table.closed.swap_remove(&fd);
        let former = table.open.insert(fd, (what, pid));
        Ok(self.dropped(former.map(|(what, _)| what)))
    }

    fn dropped(&mut self, former: Option<Fd>) -> Option<usize> {
        let Some(Fd::Socket(socket)) = former else {
            return None;
        };
        let held = self.held.entry(socket).or_default();
        *held = held.saturating_sub(1);
        (*held == 0).then_some(socket)
    }

    /// Closes a descriptor. Returns the socket if this was its last one.
    pub(super) fn close(&mut self, pid: u32, fd: u32) -> Option<usize> {
        let place = self.place(pid);
        let table = &mut self.tables[place];
        let (former, _) = table.open.swap_remove(&fd)?;
        if let Fd::Socket(socket) = former {
            table.closed.insert(fd, (pid, socket));
        }
        self.dropped(Some(former))
    }

    /// Adds a task whose creation the log shows: it shares the table of its parent, or has a copy.
    pub(super) fn fork(&mut self, parent: u32, child: u32, shared: bool) {
        let place = self.place(parent);
        let place = if shared {
            self.tables[place].tasks.insert(child);
            place
        } else {
            let place = self.copy(place, child);
            // The child never had descriptors that the parent has closed.
            self.tables[place].closed.clear();
            place
        };
        self.of.insert(child, place);
    }

    /// Ends a task. Returns the sockets that this closes.
    pub(super) fn exit(&mut self, pid: u32) -> Vec<usize> {
        let Some(place) = self.of.get(&pid).copied() else {
            return Vec::new();
        };
        let table = &mut self.tables[place];
        table.tasks.remove(&pid);
        if !table.tasks.is_empty() {
            return Vec::new();
        }
        let open: Vec<Fd> = table.open.drain(..).map(|(_, (what, _))| what).collect();
        open.into_iter()
            .filter_map(|what| self.dropped(Some(what)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_and_processes_copy() {
        let mut tables = Tables::new(Conclusions::default());
        tables.put(1, 3, Fd::Socket(0)).expect("no contradiction");
        tables.fork(1, 2, true);
        tables.fork(1, 3, false);
        assert_eq!(tables.get(2, 3), Ok(Found::Open(Fd::Socket(0))));
        assert_eq!(tables.close(2, 3), None, "the process still has it");
        assert_eq!(tables.close(3, 3), Some(0));
    }

    #[test]
    fn a_descriptor_that_is_used_after_another_task_closed_it_was_never_shared() {
        let mut tables = Tables::new(Conclusions::default());
        tables.put(1, 3, Fd::Socket(0)).expect("no contradiction");
        assert_eq!(tables.get(2, 3), Ok(Found::Open(Fd::Socket(0))));
        assert_eq!(tables.close(2, 3), Some(0));
        assert_eq!(tables.get(1, 3), Err(Conclusion::Process(2)));
        let mut known = Conclusions::default();
        assert!(known.learn(Conclusion::Process(2)));
        let mut again = Tables::new(known);
        again.put(1, 3, Fd::Socket(0)).expect("no contradiction");
        assert_eq!(again.get(2, 3), Ok(Found::Open(Fd::Socket(0))));
        assert_eq!(again.close(2, 3), None);
        assert_eq!(again.get(1, 3), Ok(Found::Open(Fd::Socket(0))));
        assert_eq!(again.close(1, 3), Some(0));
    }

    #[test]
    fn a_child_keeps_what_its_parent_closed_before_the_child_is_seen() {
        let mut known = Conclusions::default();
        known.learn(Conclusion::Process(2));
        let mut tables = Tables::new(known);
        tables.put(1, 4, Fd::Socket(0)).expect("no contradiction");
        assert_eq!(tables.close(1, 4), Some(0));
        assert_eq!(tables.get(2, 4), Ok(Found::Revived(0)));
        assert_eq!(tables.close(2, 4), Some(0));
    }

    #[test]
    fn a_task_that_uses_what_the_first_one_opened_later_is_a_thread() {
        let mut known = Conclusions::default();
        known.learn(Conclusion::Process(2));
        let mut tables = Tables::new(known);
        tables.put(1, 3, Fd::Socket(0)).expect("no contradiction");
        assert_eq!(tables.get(2, 3), Ok(Found::Open(Fd::Socket(0))));
        tables.put(1, 4, Fd::Socket(1)).expect("no contradiction");
        assert_eq!(tables.get(2, 4), Err(Conclusion::Thread(2)));
    }

    #[test]
    fn a_number_that_is_given_twice_belongs_to_two_tables() {
        let mut tables = Tables::new(Conclusions::default());
        tables.put(1, 3, Fd::Socket(0)).expect("no contradiction");
        assert_eq!(tables.put(2, 3, Fd::Socket(1)), Err(Conclusion::Process(2)));
    }

    #[test]
    fn the_end_of_the_last_task_closes_everything() {
        let mut tables = Tables::new(Conclusions::default());
        tables.put(1, 3, Fd::Socket(0)).expect("no contradiction");
        tables.fork(1, 2, true);
        assert_eq!(tables.exit(1), Vec::<usize>::new());
        assert_eq!(tables.exit(2), [0]);
    }
}
