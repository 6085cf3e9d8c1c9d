//! Encoding of everything but steps.

use crate::model::{
    Body, Check, ExpectBlock, Expected, Fault, FaultKind, Host, KernelSelector, Nat, NatSource,
    Network, Process, Program, Scenario,
};
use crate::value::{Accepted, Close, Hold, Loss, NatRandom, Protocol, format_duration};
use crate::yaml::{Key, Node, write};

use super::build::{Build, one_or_list, options, sysctls};
use super::steps::steps;

/// Encodes a scenario as YAML text.
pub(crate) fn scenario(scenario: &Scenario) -> String {
    let mut out = Build::default();
    out.text("about", &scenario.about);
    if !scenario.source.is_empty() {
        out.node(
            "source",
            Node::list(scenario.source.iter().map(|text| Node::text(text.as_str()))),
        );
    }
    out.node("kernel", kernels(&scenario.kernel));
    if !scenario.matrix.is_empty() {
        let axes = scenario.matrix.iter().map(|(name, values)| {
            let values = values.iter().map(|value| Node::text(value.as_str()));
            (name.as_str(), Node::list(values))
        });
        out.node("matrix", Node::map(axes));
    }
    let mut entries = out.entries();
    entries.extend(scenario.written.iter().cloned());
    write(&Node::entries(entries))
}

fn kernels(selector: &KernelSelector) -> Node {
    let patterns = selector
        .patterns
        .iter()
        .map(|one| Node::text(one.value.to_string()));
    one_or_list(patterns.collect())
}

pub(crate) fn body(body: &Body) -> Vec<(Key, Node)> {
    let mut out = Build::default();
    out.unless("seed", body.seed, 1);
    out.some("time_wait", body.time_wait.map(format_duration));
    let network = network(&body.network);
    if !network.is_empty() {
        out.node("network", network.map());
    }
    let hosts = body
        .hosts
        .iter()
        .map(|(name, one)| (name.as_str(), host(one)));
    out.node("hosts", Node::map(hosts));
    match &body.program {
        Program::Processes(processes) => {
            // With a single host, `on` has a default.
            let several = body.hosts.len() > 1;
            let processes = processes
                .iter()
                .map(|(name, one)| (name.as_str(), process(one, several)));
            out.node("processes", Node::map(processes));
        }
        Program::Steps(list) => out.node("steps", steps(list, body.hosts.len() > 1)),
    }
    if !body.expect.is_empty() {
        out.node("expect", expect(&body.expect));
    }
    out.entries()
}

fn network(network: &Network) -> Build {
    let mut out = Build::default();
    out.some("latency", network.latency);
    out.unless("loss", network.loss, Loss::default());
    if !network.faults.is_empty() {
        out.node("faults", Node::list(network.faults.iter().map(fault)));
    }
    out
}

fn fault(fault: &Fault) -> Node {
    let mut out = Build::default();
    out.text("at", format_duration(fault.at));
    let word = fault.kind.as_str();
    match &fault.kind {
        FaultKind::Crash(host) | FaultKind::Bounce(host) => out.text(word, host),
        pair => out.node(word, Node::list(pair.hosts().into_iter().map(Node::text))),
    }
    out.map()
}

fn host(host: &Host) -> Node {
    let mut out = Build::default();
    if !host.addresses.is_empty() {
        out.node(
            "addresses",
            Node::list(host.addresses.iter().map(|ip| Node::text(ip.to_string()))),
        );
    }
    out.some("ipv6", host.ipv6);
    out.time("tentative", host.tentative);
    if !host.sysctl.is_empty() {
        out.node("sysctl", sysctls(&host.sysctl));
    }
    out.one_or_many("listen", &host.listen);
    out.some("kernel", host.kernel.as_ref().map(|kernel| &kernel.value));
    out.some("hz", host.hz);
    out.some("machine", host.machine.as_ref());
    out.some("via", host.via.as_ref().map(|via| &via.value));
    if let Some(rules) = &host.nat {
        out.node("nat", nat(rules));
    }
    out.map()
}

fn nat(nat: &Nat) -> Node {
    let mut out = Build::default();
    match &nat.source {
        None => {}
        Some(NatSource::Linux {
            addresses,
            ports,
            random,
            persistent,
        }) => {
            if addresses.is_empty() {
                let mut rule = Build::default();
                rule.some("ports", *ports);
                out.node("masquerade", rule.map());
            } else {
                out.one_or_many("snat", addresses);
                out.some("ports", *ports);
            }
            out.unless("random", *random, NatRandom::No);
            out.unless("persistent", *persistent, false);
        }
        Some(NatSource::Preset(preset)) => out.text("preset", preset),
        Some(NatSource::Quota {
            ports_per_client,
            hold_after_close,
            idle,
        }) => {
            out.text("ports-per-client", ports_per_client);
            out.time("hold-after-close", *hold_after_close);
            out.time("idle", *idle);
        }
    }
    if !nat.dnat.is_empty() {
        let rules = nat.dnat.iter().map(|(to, backends)| {
            let backends = backends.iter().map(|one| Node::text(one.to_string()));
            (to.to_string(), one_or_list(backends.collect()))
        });
        out.node(
            "dnat",
            Node::entries(rules.map(|(to, node)| (Key::new(to), node)).collect()),
        );
    }
    out.map()
}

fn process(process: &Process, several_hosts: bool) -> Node {
    let mut out = Build::default();
    if several_hosts {
        out.text("on", &process.on);
    }
    out.unless("protocol", process.protocol, Protocol::Tcp);
    out.time("start", process.start);
    out.one_or_many("after", &process.after);
    out.unless("count", process.count, 1);
    out.unless("uid", process.uid, 0);
    out.one_or_many("bind", &process.bind);
    if !process.options.is_empty() {
        out.node("options", options(&process.options));
    }
    out.one_or_many("connect", &process.connect);
    out.unless("connections", process.connections, 1);
    out.time("every", process.every);
    out.unless("hold", process.hold, Hold::Forever);
    out.unless("close", process.close, Close::Client);
    out.unless("repeat", process.repeat, 1);
    out.unless("stop_on_failure", process.stop_on_failure, false);
    out.one_or_many("listen", &process.listen);
    out.unless("accepted", process.accepted, Accepted::Keep);
    out.some("inherit", process.inherit.as_ref());
    out.map()
}

fn expect(blocks: &[ExpectBlock]) -> Node {
    let blocks: Vec<Node> = blocks
        .iter()
        .map(|block| {
            let mut out = Build::default();
            if let Some(kernel) = &block.kernel {
                out.node("kernel", kernels(kernel));
            }
            for Check {
                process,
                op,
                expected,
            } in block.checks.iter().map(|check| &check.value)
            {
                let expected = match expected {
                    Expected::Each(answers) => one_or_list(
                        answers
                            .iter()
                            .map(|answer| Node::text(answer.as_str()))
                            .collect(),
                    ),
                    Expected::Counts(counts) => {
                        Node::map(counts.iter().map(|(answer, count)| {
                            (answer.as_str(), Node::text(count.to_string()))
                        }))
                    }
                };
                out.node(format!("{process}.{op}"), expected);
            }
            out.map()
        })
        .collect();
    // Several blocks may hold the same key, so only a single one is written without a list.
    one_or_list(blocks)
}
