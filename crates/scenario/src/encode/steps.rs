//! Encoding of steps.

use crate::model::{NameStep, OnSocketStep, Step, TransferStep};
use crate::span::Spanned;
use crate::value::{Address, Answer, Family, PortRange, SocketType, format_duration};
use crate::yaml::Node;

use super::build::{Build, options, sysctls};

/// Encodes the steps that a file contains, without the implicit `socket` steps.
pub(crate) fn steps(steps: &[Spanned<Step>], several_hosts: bool) -> Node {
    let written = steps
        .iter()
        .filter(|step| !matches!(&step.value, Step::Socket(made) if made.implicit));
    Node::list(written.map(|one| step(&one.value, several_hosts)))
}

fn step(step: &Step, several_hosts: bool) -> Node {
    let mut out = Build::default();
    match step {
        Step::Socket(step) => {
            out.text("socket", &step.socket);
            out.unless("family", step.family, Family::Inet);
            out.unless("type", step.kind, SocketType::Stream);
            out.text("by", &step.by);
            out.unless("uid", step.uid, 0);
            if several_hosts {
                out.text("on", &step.on);
            }
            out.unless("nonblock", step.nonblock, false);
            if !step.options.is_empty() {
                out.node("options", options(&step.options));
            }
        }
        Step::Set(step) => {
            out.text("set", &step.set);
            out.node("options", options(&step.options));
        }
        Step::Bind(step) => {
            out.text("bind", &step.bind);
            out.text("at", &step.at);
        }
        Step::Listen(step) => {
            out.text("listen", &step.listen);
            out.unless("backlog", step.backlog, 128);
        }
        Step::Connect(step) => {
            out.text("connect", &step.connect);
            out.text("to", &step.to);
        }
        Step::Accept(step) => {
            out.text("accept", &step.accept);
            out.some("as", step.accepted.as_ref());
        }
        Step::Send(TransferStep { socket, len, .. }) => {
            out.text("send", socket);
            out.unless("len", *len, 1);
        }
        Step::Recv(TransferStep { socket, len, .. }) => {
            out.text("recv", socket);
            out.unless("len", *len, 1);
        }
        Step::Sendto(step) => {
            out.text("sendto", &step.sendto);
            out.text("to", &step.to);
            out.unless("len", step.len, 1);
        }
        Step::Recvfrom(step) => {
            out.text("recvfrom", &step.socket);
            out.unless("len", step.len, 1);
        }
        Step::Shutdown(step) => {
            out.text("shutdown", &step.shutdown);
            out.text("how", step.how);
        }
        Step::Disconnect(OnSocketStep { socket, .. }) => out.text("disconnect", socket),
        Step::Close(OnSocketStep { socket, .. }) => out.text("close", socket),
        Step::Getsockname(NameStep { socket, .. }) => out.text("getsockname", socket),
        Step::Getpeername(NameStep { socket, .. }) => out.text("getpeername", socket),
        Step::Sysctl(step) => {
            out.node("sysctl", sysctls(&step.sysctl));
            if several_hosts {
                out.text("on", &step.on);
            }
        }
        Step::Sleep(step) => out.text("sleep", format_duration(step.sleep)),
    }
    asked(
        &mut out,
        step.port_as(),
        step.expect(),
        step.expect_port(),
        step.expect_local(),
        step.expect_peer(),
    );
    out.map()
}

/// Adds the expectations of a step.
fn asked(
    out: &mut Build,
    port_as: Option<&str>,
    expect: &[Answer],
    port: Option<PortRange>,
    local: Option<&Address>,
    peer: Option<&Address>,
) {
    out.some("port_as", port_as);
    out.one_or_many("expect", expect);
    out.some("expect_port", port);
    out.some("expect_local", local);
    out.some("expect_peer", peer);
}
