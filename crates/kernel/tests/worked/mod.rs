//! One test per example and era. An example is a function of the era; `on_eras!` makes a test of
//! it for every era of its list, so that a failure names both.

/// Eras up to Linux 4.1 and RHEL 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Old {
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
    I,
    J,
    K,
    R5,
    R8,
    S3,
    S7,
}

impl Old {
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Old::A => "linux-2.6.32",
            Old::B => "linux-2.6.35",
            Old::C => "linux-2.6.37",
            Old::D => "linux-2.6.38",
            Old::E => "linux-2.6.39",
            Old::F => "linux-3.3",
            Old::G => "linux-3.5",
            Old::H => "linux-3.9",
            Old::I => "linux-3.10",
            Old::J => "linux-3.13",
            Old::K => "linux-4.1",
            Old::R5 => "rhel-6.5",
            Old::R8 => "rhel-6.8",
            Old::S3 => "rhel-7.3",
            Old::S7 => "rhel-7.9",
        }
    }

    /// A bind(0) search may take a port that has a bucket already.
    pub(crate) fn shares(self) -> bool {
        self >= Old::F
    }

    pub(crate) fn has_reuseport(self) -> bool {
        self >= Old::H
    }

    /// Long timers are late by a 256th of their length.
    pub(crate) fn timer_slack(self) -> bool {
        !matches!(self, Old::A | Old::K | Old::R5 | Old::R8)
    }

    /// Searches in half ranges for bind(0), from even offsets for connect().
    pub(crate) fn even(self) -> bool {
        self >= Old::R8
    }
}

/// Eras from Linux 4.2 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum New {
    E42,
    E46,
    E411,
    E414,
    E57,
    E61,
    E68,
    E618,
}

impl New {
    pub(crate) fn kernel(self) -> &'static str {
        match self {
            New::E42 => "linux-4.2",
            New::E46 => "linux-4.6",
            New::E411 => "linux-4.11",
            New::E414 => "linux-4.14",
            New::E57 => "linux-5.7",
            New::E61 => "linux-6.1",
            New::E68 => "linux-6.8",
            New::E618 => "linux-6.18",
        }
    }
}

macro_rules! on_old_eras {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            use crate::worked::Old;
            #[rstest::rstest]
            #[case::a(Old::A)]
            #[case::b(Old::B)]
            #[case::c(Old::C)]
            #[case::d(Old::D)]
            #[case::e(Old::E)]
            #[case::f(Old::F)]
            #[case::g(Old::G)]
            #[case::h(Old::H)]
            #[case::i(Old::I)]
            #[case::j(Old::J)]
            #[case::k(Old::K)]
            #[case::r5(Old::R5)]
            #[case::r8(Old::R8)]
            #[case::s3(Old::S3)]
            #[case::s7(Old::S7)]
            fn on(#[case] era: Old) {
                super::$name(era);
            }
        }
    )* };
}

macro_rules! on_new_eras {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            use crate::worked::New;
            #[rstest::rstest]
            #[case::e42(New::E42)]
            #[case::e46(New::E46)]
            #[case::e411(New::E411)]
            #[case::e414(New::E414)]
            #[case::e57(New::E57)]
            #[case::e61(New::E61)]
            #[case::e68(New::E68)]
            #[case::e618(New::E618)]
            fn on(#[case] era: New) {
                super::$name(era);
            }
        }
    )* };
}

mod found;
mod new_bind;
mod new_buckets;
mod new_tables;
mod old_connect;
mod old_ends;
mod old_table;
mod real;
mod real_order;
mod routes;
