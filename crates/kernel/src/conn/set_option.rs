//! setsockopt(): the options that ports depend on (`sock_setsockopt`, `do_tcp_setsockopt`, ...).

use crate::chooser::Chooser;
use crate::conn::segment::SegKind;
use crate::conn::socket::{Sock, State};
use crate::explain::reason::Rule;
use crate::machine::{Machine, SockId};
use crate::profile::TrackedBehaviours;
use crate::{Errno, Family, PortRange, ShortName, SockOpt};
use fourtuple_syscall::Level;

/// Returns `true` if the kernel knows the option for such a socket.
fn is_known(rules: &TrackedBehaviours, sock: &Sock, opt: SockOpt) -> bool {
    match opt {
        opt if sock.is_datagram() && opt.info().level == Level::Tcp => false,
        SockOpt::AttachReuseportBpf(_) if sock.is_datagram() => {
            rules.reuseport() && rules.udp_reuseport_groups()
        }
        SockOpt::ReusePort(_) => rules.reuseport(),
        SockOpt::AttachReuseportBpf(_) => rules.reuseport() && rules.reuseport_group_term(),
        SockOpt::BindAddressNoPort(_) => rules.bind_address_no_port(),
        SockOpt::LocalPortRange(_) => rules.local_port_range_option(),
        SockOpt::V6Only(_) => sock.family == Family::Inet6,
        SockOpt::Repair(_) => rules.force_reuse(),
        SockOpt::BindToIfIndex(_) => rules.bind_to_index(),
        opt => opt.info().modelled,
    }
}

/// Sets an option that the kernel knows.
fn apply(rules: &TrackedBehaviours, sock: &mut Sock, opt: SockOpt) -> Result<(), Errno> {
    match opt {
        SockOpt::ReuseAddr(on) => sock.reuse = u8::from(on),
        SockOpt::ReusePort(on) => sock.reuseport = on,
        SockOpt::BindAddressNoPort(on) => sock.no_port = on,
        SockOpt::LocalPortRange(PortRange { low, high }) => {
            if low != 0 && high != 0 && low > high {
                return Err(Errno::EINVAL);
            }
            sock.cold().range = (low, high);
        }
        // The port's owners have been compared with the old value; it must not change now.
        SockOpt::V6Only(_) if sock.num != 0 => return Err(Errno::EINVAL),
        SockOpt::V6Only(on) => sock.v6only = on,
        // Any other time changes the duration of close(), which is not modelled.
        SockOpt::Linger(l) => sock.aborts = l == Some(0),
        SockOpt::BindToDevice(name) => bind_to_device(rules, sock, device(name))?,
        SockOpt::BindToIfIndex(index) => bind_to_device(rules, sock, Some(index.into()))?,
        SockOpt::FreeBind(on) => sock.freebind = on,
        SockOpt::Transparent(true) | SockOpt::Repair(_) if sock.uid != 0 => {
            return Err(Errno::EPERM);
        }
        SockOpt::Transparent(on) => sock.transparent = on,
        SockOpt::Linger2(secs) => sock.cold().linger2 = secs,
        SockOpt::Repair(on) => {
            if !matches!(sock.state, State::Close | State::Established) {
                return Err(Errno::EPERM);
            }
            sock.cold().repair = on;
            sock.reuse = if on { 2 } else { 0 };
        }
        // `reuseport_detach_prog`. A program of another socket of the group is not modelled.
        SockOpt::AttachReuseportBpf(false) if !sock.group && !sock.reuseport => {
            return Err(Errno::EINVAL);
        }
        SockOpt::AttachReuseportBpf(false) => {
            if !std::mem::take(&mut sock.cold().program) {
                return Err(Errno::ENOENT);
            }
        }
        SockOpt::AttachReuseportBpf(true) => {
            // Only a socket that has SO_REUSEPORT starts a group, and only before it is connected
            // (`reuseport_attach_prog`).
            let may_start = match sock.is_datagram() {
                true => sock.num == 0,
                false => matches!(sock.state, State::Close | State::Listen),
            };
            if !sock.reuseport || !sock.group && !may_start {
                return Err(Errno::EINVAL);
            }
            sock.group = true;
            sock.cold().program = true;
        }
        SockOpt::SynCount(0) => return Err(Errno::EINVAL),
        SockOpt::SynCount(n) => sock.cold().syn_count = Some(n),
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

/// Ties a socket to an interface (`sock_setbindtodevice`, `sock_bindtoindex`). Only the name of an
/// interface is looked up; any index is taken.
fn bind_to_device(
    rules: &TrackedBehaviours,
    sock: &mut Sock,
    dev: Option<u16>,
) -> Result<(), Errno> {
    if sock.uid != 0 && !rules.device_for_users() {
        return Err(Errno::EPERM);
    }
    let dev = dev.ok_or(Errno::ENODEV)?;
    if sock.uid != 0 && sock.dev != 0 {
        return Err(Errno::EPERM);
    }
    sock.dev = dev;
    Ok(())
}

/// The index of an interface: a namespace has `lo`, and `eth0` towards the other hosts. 0 is none.
fn device(name: ShortName) -> Option<u16> {
    match name.as_str() {
        "" => Some(0),
        "lo" => Some(1),
        "eth0" => Some(2),
        _ => None,
    }
}

impl<C: Chooser> Machine<C> {
    /// `setsockopt`.
    ///
    /// # Errors
    /// `ENOPROTOOPT` if the kernel does not know the option, `EINVAL`, `EPERM`, `ENODEV` or
    /// `EDOM` for values and states that do not fit.
    pub fn set_option(&mut self, s: SockId, opt: SockOpt) -> Result<(), Errno> {
        let Some(i) = self.live(s) else {
            return Err(Errno::EINVAL);
        };
        let sock = &mut self.socks[i];
        if !is_known(&self.b, sock, opt) {
            return self.refuse(Errno::ENOPROTOOPT, Rule::OptionUnknown, &["sys_setsockopt"]);
        }
        if let Err(e) = apply(&self.b, sock, opt) {
            return self.refuse(e, Rule::OptionInvalid, &["sys_setsockopt"]);
        }
        self.nss[usize::from(sock.ns)].devices |= sock.dev != 0;
        if opt == SockOpt::Repair(false) && self.socks[i].state == State::Established {
            // The other end is asked where the connection stands (`tcp_send_window_probe`).
            self.send(i, SegKind::Ack);
            self.settle();
        }
        Ok(())
    }
}
