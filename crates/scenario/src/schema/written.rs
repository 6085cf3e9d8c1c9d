//! JSON Schema of the written form of values, as the decoder reads them.

use std::borrow::Cow;

use fourtuple_syscall::{Shape, SockOpt};
use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::value::{self, Word};

/// Defines schemas of scalars with a pattern.
macro_rules! patterns {
    ($($name:ident $word:ty, $pattern:literal;)*) => {
        $(
            pub(crate) struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({
                        "type": "string",
                        "pattern": $pattern,
                        "title": <$word as Word>::EXPECTED,
                    })
                }
            }
        )*
    };
}

patterns! {
    Duration std::time::Duration, r"^\d+(h|m|s|ms|us|ns)$";
    PortRange value::PortRange, r"^\d{1,5}[- ]\d{1,5}$";
    SocketAddr std::net::SocketAddr, r"^([0-9.]+|\[[0-9A-Fa-f:.]+(%(lo|eth0|1|2))?\]):\d{1,5}$";
    Endpoint value::Endpoint, r"^([0-9.]+|\[[0-9A-Fa-f:.]+(%(lo|eth0|1|2))?\]):\d{1,5}$";
    Address value::Address, r"^([0-9.]+|\[[0-9A-Fa-f:.]+(%(lo|eth0|1|2))?\]):(\d{1,5}|\$[A-Za-z_][A-Za-z0-9_-]*)$";
    Latency value::Latency, r"^\d+(h|m|s|ms|us|ns)(\.\.\d+(h|m|s|ms|us|ns))?$";
    Hold value::Hold, r"^(\d+(h|m|s|ms|us|ns)|forever)$";
}

/// Defines schemas of enumerations.
macro_rules! choices {
    ($($name:ident)*) => {
        $(
            pub(crate) struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    let words: Vec<&str> = value::$name::ALL.iter().map(|one| one.as_str()).collect();
                    json_schema!({ "enum": words })
                }
            }
        )*
    };
}

choices! { Family Shutdown Close Accepted Switch SocketType Protocol NatRandom NatPreset }

/// Defines schemas with a hand-written body.
macro_rules! schemas {
    ($($name:ident$(<$t:ident>)? ($inline:literal) |$generator:ident| $body:expr;)*) => {
        $(
            pub(crate) struct $name$(<$t>(std::marker::PhantomData<$t>))?;

            impl$(<$t: JsonSchema>)? JsonSchema for $name$(<$t>)? {
                fn inline_schema() -> bool {
                    $inline
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                    $body
                }
            }
        )*
    };
}

schemas! {
    OneOrMany<T>(true) |generator| {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "maxItems": crate::limits::MAX_ADDRESSES }] })
    };
    Scalar(true) |_generator| json_schema!({ "type": ["string", "number", "boolean"] });
    Count(true) |_generator| json_schema!({ "type": "integer", "minimum": 1, "maximum": crate::limits::MAX_COUNT });
    Hz(true) |_generator| json_schema!({ "type": "integer", "minimum": crate::limits::MIN_HZ, "maximum": crate::limits::MAX_HZ });
    Bytes(true) |_generator| json_schema!({ "type": "integer", "minimum": 1, "maximum": crate::limits::MAX_TRANSFER_BYTES });
    Loss(true) |_generator| json_schema!({ "anyOf": [
        { "type": "number", "minimum": 0, "maximum": 1 },
        { "type": "string", "pattern": r"^\d+(\.\d+)?%?$" },
    ] });
    Linger(true) |_generator| json_schema!({ "anyOf": [
        { "type": "integer", "minimum": 0, "maximum": u32::MAX },
        { "enum": ["reset", "off"] },
    ] });
    Bind(true) |generator| {
        let one = generator.subschema_for::<SocketAddr>();
        json_schema!({ "anyOf": [{ "const": "none" }, one, { "type": "array", "items": one, "minItems": 1, "maxItems": crate::limits::MAX_ADDRESSES }] })
    };
    Nat(false) |generator| {
        let preset = generator.subschema_for::<NatPreset>();
        let rules = generator.subschema_for::<NatRules>();
        json_schema!({
            "description": "The rules of a NAT host: a map, `masquerade`, or the name of a preset.",
            "anyOf": [rules, { "const": "masquerade" }, preset],
        })
    };
    Answer(false) |_generator| {
        let names: Vec<&str> = value::Answer::names().collect();
        json_schema!({ "description": "The result of a socket call.", "enum": names })
    };
    Answers(true) |generator| {
        let one = generator.subschema_for::<Answer>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    };
    Kernels(false) |_generator| {
        let one = json_schema!({ "type": "string", "minLength": 1 });
        json_schema!({
            "description": "A kernel by name, a range such as `linux-4.2..linux-6.1`, `all`, or a list of these.",
            "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }],
        })
    };
}

impl JsonSchema for crate::model::Options {
    fn schema_name() -> Cow<'static, str> {
        "Options".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = serde_json::Map::new();
        for row in SockOpt::MODELLED {
            let mut value = match row.shape {
                Shape::Flag => generator.subschema_for::<bool>(),
                Shape::Int { min, max } => {
                    json_schema!({ "type": "integer", "minimum": min, "maximum": max })
                }
                Shape::Range => generator.subschema_for::<PortRange>(),
                Shape::Linger => generator.subschema_for::<Linger>(),
                Shape::Name => generator.subschema_for::<String>(),
            };
            value.insert("description".into(), row.about.into());
            properties.insert(row.name.into(), value.to_value());
        }
        json_schema!({
            "description": "Socket options to set before `bind`. A field that is absent is not set at all.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

/// The rules of a NAT host. Give at most one of `masquerade`, `snat`, `preset` and
/// `ports-per-client`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "the fields are read by the schema only")]
pub(crate) struct NatRules {
    /// Connections that leave get an address of this host as their source.
    masquerade: Option<MasqueradeRule>,
    /// The source address of connections that leave, or several consecutive ones.
    snat: Option<OneOrMany<std::net::IpAddr>>,
    /// The source ports of `snat` [default: the class of the client's port].
    ports: Option<PortRange>,
    /// The flag that says how ports are chosen [default: no].
    random: Option<NatRandom>,
    /// The source address depends on the client alone.
    persistent: Option<bool>,
    /// Destinations that are translated, each to one of its backends.
    dnat: Option<IndexMap<String, OneOrMany<Endpoint>>>,
    /// The NAT of a cloud provider.
    preset: Option<NatPreset>,
    /// The number of connections of a client at once to one destination.
    ports_per_client: Option<Count>,
    /// The time for which a port is kept after its connection was closed [default: 0s].
    hold_after_close: Option<Duration>,
    /// The time after which a connection without packets is forgotten [default: 350s].
    idle: Option<Duration>,
}

/// The ports of a masquerade rule.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are read by the schema only")]
pub(crate) struct MasqueradeRule {
    /// The source ports [default: the class of the client's port].
    ports: Option<PortRange>,
}

/// Defines schemas of steps that share one Rust type.
macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(JsonSchema)]
            #[schemars(deny_unknown_fields)]
            #[expect(dead_code, reason = "the fields are read by the schema only")]
            pub(crate) struct $name {
                $($(#[$field_doc])* $field: $type,)*
                /// The expected result, or a list of alternatives.
                #[schemars(with = "Option<Answers>")]
                expect: (),
            }
        )*
    };
}

steps! {
    /// Sends bytes.
    SendStep {
        /// The socket.
        send: String,
        /// Number of bytes [default: 1].
        len: Option<Bytes>,
    }
    /// Receives bytes. Unread bytes turn a later close into a reset.
    RecvStep {
        /// The socket.
        recv: String,
        /// Maximum number of bytes [default: 1].
        len: Option<Bytes>,
    }
    /// Receives a datagram, and reports its sender.
    RecvfromStep {
        /// The socket.
        recvfrom: String,
        /// Maximum number of bytes [default: 1].
        len: Option<Bytes>,
        /// A name for the sender's port; later steps write it `$name`.
        port_as: Option<String>,
        /// The range that must contain the sender's port.
        expect_port: Option<PortRange>,
        /// The expected address of the sender.
        expect_peer: Option<Address>,
    }
    /// Dissolves a connection: `connect` to an address of family `AF_UNSPEC`.
    DisconnectStep {
        /// The socket.
        disconnect: String,
    }
    /// Closes a socket.
    CloseStep {
        /// The socket.
        close: String,
    }
    /// Reads the local address of a socket.
    GetsocknameStep {
        /// The socket.
        getsockname: String,
        /// A name for the local port; later steps write it `$name`.
        port_as: Option<String>,
        /// The range that must contain the local port.
        expect_port: Option<PortRange>,
        /// The expected local address.
        expect_local: Option<Address>,
    }
    /// Reads the peer address of a socket.
    GetpeernameStep {
        /// The socket.
        getpeername: String,
        /// A name for the peer's port; later steps write it `$name`.
        port_as: Option<String>,
        /// The range that must contain the peer's port.
        expect_port: Option<PortRange>,
        /// The expected peer address.
        expect_peer: Option<Address>,
    }
}
