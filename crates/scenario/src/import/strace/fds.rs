//! Descriptor tables: which descriptor of which task is which socket.
//!
//! A log with `-e trace=network,close` does not show how tasks were made. A task that comes out of nowhere is taken
//! for a thread: it shares the descriptors of the first one. Where the log shows `clone` or `fork`, they are followed.
//! When a task uses a descriptor that another one has closed, the two were processes after all and that close did not
//! end the socket; the reader then starts again, knowing that.

use std::collections::BTreeSet;

use indexmap::IndexMap;

/// What a descriptor stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fd {
    /// A TCP socket, by its number.
    Tcp(usize),
    /// A socket of another kind.
    Other,
}

#[derive(Clone, Debug, Default)]
struct Table {
    open: IndexMap<u32, Fd>,
    /// Closed descriptors: the line of the close, the task, the socket.
    closed: IndexMap<u32, (usize, u32, usize)>,
    /// Tasks that use the table and have not ended.
    tasks: BTreeSet<u32>,
}

/// All tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    of: IndexMap<u32, usize>,
    tables: Vec<Table>,
    /// How many descriptors each socket has, over all tables.
    held: IndexMap<usize, usize>,
    /// Lines of closes that did not end the socket.
    kept: BTreeSet<usize>,
    /// Sockets that such closes left to other tasks.
    left: IndexMap<u32, usize>,
}

impl Tables {
    /// Tables for a reading of the log that knows which closes did not end their socket.
    pub(super) fn new(kept: BTreeSet<usize>) -> Self {
        Self {
            kept,
            ..Self::default()
        }
    }

    fn table(&mut self, pid: u32) -> &mut Table {
        let place = match self.of.get(&pid) {
            Some(place) => *place,
            None => {
                if self.tables.is_empty() {
                    self.tables.push(Table::default());
                }
                self.of.insert(pid, 0);
                0
            }
        };
        let place = place.min(self.tables.len().saturating_sub(1));
        let table = &mut self.tables[place];
        table.tasks.insert(pid);
        table
    }

    /// What a descriptor stands for. As an error, the line of a close that cannot have ended its socket.
    pub(super) fn get(&mut self, pid: u32, fd: u32) -> Result<Option<Fd>, usize> {
        let table = self.table(pid);
        if let Some(found) = table.open.get(&fd) {
            return Ok(Some(*found));
        }
        if let Some((line, by, _)) = table.closed.get(&fd).copied()
            && by != pid
            && !self.kept.contains(&line)
        {
            return Err(line);
        }
        Ok(self.left.get(&fd).copied().map(Fd::Tcp))
    }

    /// Gives a descriptor a meaning. If it had one, that socket is returned when it has no other descriptor.
    pub(super) fn put(&mut self, pid: u32, fd: u32, what: Fd) -> Option<usize> {
        if let Fd::Tcp(socket) = what {
            *self.held.entry(socket).or_default() += 1;
        }
        let table = self.table(pid);
        table.closed.swap_remove(&fd);
        let former = table.open.insert(fd, what);
        self.dropped(former)
    }

    fn dropped(&mut self, former: Option<Fd>) -> Option<usize> {
        let Some(Fd::Tcp(socket)) = former else {
            return None;
        };
        let held = self.held.entry(socket).or_default();
        *held = held.saturating_sub(1);
        (*held == 0).then_some(socket)
    }

    /// Closes a descriptor; the socket if this ends it.
    pub(super) fn close(&mut self, pid: u32, fd: u32, line: usize) -> Option<usize> {
        let kept = self.kept.contains(&line);
        let table = self.table(pid);
        let Some(former) = table.open.swap_remove(&fd) else {
            // The last of the tasks that a socket was left to.
            return self.left.swap_remove(&fd);
        };
        if let Fd::Tcp(socket) = former {
            table.closed.insert(fd, (line, pid, socket));
            if kept {
                self.left.insert(fd, socket);
                return None;
            }
        }
        self.dropped(Some(former))
    }

    /// A new task, which the log shows: it shares the table of its parent, or has a copy.
    pub(super) fn fork(&mut self, parent: u32, child: u32, shared: bool) {
        let table = self.table(parent).clone();
        let place = self.of.get(&parent).copied().unwrap_or(0);
        if shared {
            self.of.insert(child, place);
            self.table(child);
            return;
        }
        for what in table.open.values() {
            if let Fd::Tcp(socket) = what {
                *self.held.entry(*socket).or_default() += 1;
            }
        }
        self.of.insert(child, self.tables.len());
        self.tables.push(Table {
            tasks: BTreeSet::from([child]),
            ..table
        });
    }

    /// A task ends; the sockets that this closes.
    pub(super) fn exit(&mut self, pid: u32) -> Vec<usize> {
        if !self.of.contains_key(&pid) {
            return Vec::new();
        }
        let table = self.table(pid);
        table.tasks.remove(&pid);
        if !table.tasks.is_empty() {
            return Vec::new();
        }
        let open: Vec<Fd> = table.open.drain(..).map(|(_, what)| what).collect();
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
        let mut tables = Tables::new(BTreeSet::new());
        tables.put(1, 3, Fd::Tcp(0));
        tables.fork(1, 2, true);
        tables.fork(1, 3, false);
        assert_eq!(tables.get(2, 3), Ok(Some(Fd::Tcp(0))));
        assert_eq!(tables.close(2, 3, 10), None, "the process still has it");
        assert_eq!(tables.close(3, 3, 11), Some(0));
    }

    #[test]
    fn a_descriptor_that_is_used_after_another_task_closed_it_was_never_shared() {
        let mut tables = Tables::new(BTreeSet::new());
        tables.put(1, 3, Fd::Tcp(0));
        assert_eq!(tables.get(2, 3), Ok(Some(Fd::Tcp(0))));
        assert_eq!(tables.close(2, 3, 7), Some(0));
        assert_eq!(tables.get(1, 3), Err(7));
        let mut again = Tables::new(BTreeSet::from([7]));
        again.put(1, 3, Fd::Tcp(0));
        assert_eq!(again.get(2, 3), Ok(Some(Fd::Tcp(0))));
        assert_eq!(again.close(2, 3, 7), None);
        assert_eq!(again.get(1, 3), Ok(Some(Fd::Tcp(0))));
        assert_eq!(again.close(1, 3, 9), Some(0));
    }

    #[test]
    fn the_end_of_the_last_task_closes_everything() {
        let mut tables = Tables::new(BTreeSet::new());
        tables.put(1, 3, Fd::Tcp(0));
        tables.fork(1, 2, true);
        assert_eq!(tables.exit(1), Vec::<usize>::new());
        assert_eq!(tables.exit(2), [0]);
    }
}
