//! The owner list of a bind bucket (`inet_bind_hash`, `inet_bind_bucket_destroy`).

use crate::bucket::{ByAddr, Owner, OwnerKind};
use crate::chooser::Chooser;
use crate::conn::socket::NONE;
use crate::machine::Machine;

impl<C: Chooser> Machine<C> {
    /// Puts an owner into a bucket and its entry by address.
    pub(crate) fn link(&mut self, owner: Owner, bucket: u32) {
        let (ns, addr, family, connect) = match owner.kind() {
            OwnerKind::Sock(i) => {
                let s = &self.socks[i];
                (s.ns, s.rcv_saddr, s.family, s.connect_bind)
            }
            OwnerKind::Tw(i) => {
                let t = &self.tw.socks[i];
                (t.ns, t.local, t.family, t.connect_bind)
            }
        };
        let n = &mut self.nss[usize::from(ns)];
        let b = &mut n.buckets[bucket];
        let place = b.owners.len() as u32;
        b.owners.push(owner);
        n.enter_address(bucket, addr, family, connect);
        match owner.kind() {
            OwnerKind::Sock(i) => {
                let s = &mut self.socks[i];
                s.bucket = bucket;
                s.place = place;
            }
            OwnerKind::Tw(i) => {
                let t = &mut self.tw.socks[i];
                t.bucket = bucket;
                t.place = place;
            }
        }
    }

    /// Takes an owner out of its bucket; recomputes and destroys as the kernel does.
    pub(crate) fn unlink(&mut self, owner: Owner) {
        let (ns, bucket, place, addr, family, connect) = match owner.kind() {
            OwnerKind::Sock(i) => {
                let s = &mut self.socks[i];
                let old = (
                    s.ns,
                    s.bucket,
                    s.place,
                    s.rcv_saddr,
                    s.family,
                    s.connect_bind,
                );
                s.bucket = NONE;
                old
            }
            OwnerKind::Tw(i) => {
                let t = &mut self.tw.socks[i];
                let old = (t.ns, t.bucket, t.place, t.local, t.family, t.connect_bind);
                t.bucket = NONE;
                old
            }
        };
        let recompute = || self.b.recompute_on_release();
        let n = &mut self.nss[usize::from(ns)];
        let b = &mut n.buckets[bucket];
        b.owners.swap_remove(place as usize);
        if let Some(moved) = b.owners.get(place as usize).copied() {
            match moved.kind() {
                OwnerKind::Sock(i) => self.socks[i].place = place,
                OwnerKind::Tw(i) => self.tw.socks[i].place = place,
            }
        }
        n.leave_address(bucket, addr, family, connect, recompute);
        let b = &mut n.buckets[bucket];
        if b.owners.is_empty() {
            n.destroy_bucket(bucket);
        } else if (b.fastreuse, b.fastreuseport) != (-1, -1) {
            // 6.18: once every entry by address is connect-only again, so is the bucket.
            let connect_only = |a: &ByAddr| (a.fastreuse, a.fastreuseport) == (-1, -1);
            if b.by_addr.iter().all(connect_only) && recompute() {
                b.fastreuse = -1;
                b.fastreuseport = -1;
                n.note_blocked(bucket);
            }
        }
    }
}
