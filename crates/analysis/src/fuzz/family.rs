//! The families of sockets that a file asks for.

use fourtuple_harness::{Answer, Args, Attempts};
use fourtuple_scenario::{Case, Program};
use fourtuple_syscall::{Errno, SockOpt};

/// Returns a sentence about the first option that was refused for the family of its socket, if the
/// file asks for another family.
///
/// The engines share the code that opens the sockets of processes, the guest of real kernels too:
/// that none of them differs says nothing about it. All addresses of a process that are written as
/// IPv6, mapped ones among them, make each of its sockets one of `AF_INET6`, which has
/// `IPV6_V6ONLY`.
pub(super) fn wrong(case: &Case, attempts: &Attempts) -> Option<String> {
    let Program::Processes(processes) = &*case.program else {
        return None;
    };
    let option = SockOpt::V6Only(true).name();
    let refused = |args: &Args, result: &Answer| {
        matches!(args, Args::Option(name, _) if &**name == option)
            && *result == Answer::Errno(Errno::ENOPROTOOPT)
    };
    let mut refused = attempts
        .iter()
        .filter(|one| refused(one.args(), one.result()));
    refused.find_map(|one| {
        let process = &processes.get(&**one.process())?;
        let mut ends = (process.listen.iter())
            .chain(&process.bind)
            .chain(&process.connect);
        let name = one.process();
        ends.all(|end| end.is_ipv6()).then(|| {
            format!("process `{name}`: no option {option}, but all of its addresses are IPv6")
        })
    })
}
