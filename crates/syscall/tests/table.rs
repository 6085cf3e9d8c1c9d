//! The table of options and the names of errnos agree with themselves.

use fourtuple_syscall::{Errno, Family, OptValue, OptionError, Shape, SockOpt};

/// A value of each form that is not the default.
fn sample(shape: Shape) -> &'static str {
    match shape {
        Shape::Flag => "true",
        Shape::Int { .. } => "7",
        Shape::Range => "40000-40003",
        Shape::Linger => "5",
        Shape::Name => "lo",
    }
}

#[test]
fn every_option_is_read_as_it_is_written() {
    for row in SockOpt::TABLE {
        let option = SockOpt::parse(row.name, sample(row.shape)).expect(row.name);
        assert_eq!(option.name(), row.name);
        assert_eq!(option.id(), row.id);
        assert_eq!(
            option.value().to_string(),
            sample(row.shape),
            "{}",
            row.name
        );
        assert_eq!(SockOpt::new(row.id, option.value()), Some(option));
        assert_eq!(option.encode().level, row.level.number(), "{}", row.name);
        assert_eq!(option.encode().option, row.number, "{}", row.name);
    }
}

#[test]
fn names_and_numbers_of_options_are_unique() {
    for (at, row) in SockOpt::TABLE.iter().enumerate() {
        for other in &SockOpt::TABLE[..at] {
            assert_ne!(row.name, other.name);
            assert_ne!(row.c_name, other.c_name);
            let number = |row: &fourtuple_syscall::OptInfo| (row.level.number(), row.number);
            assert_ne!(number(row), number(other), "{}", row.name);
        }
    }
}

#[test]
fn values_are_encoded_as_setsockopt_takes_them() {
    let value = |name, text| {
        let option: SockOpt = SockOpt::parse(name, text).unwrap();
        option.encode().value().to_vec()
    };
    assert_eq!(value("reuseaddr", "1"), 1i32.to_ne_bytes());
    assert_eq!(value("tcp_linger2", "-1"), (-1i32).to_ne_bytes());
    assert_eq!(
        value("tcp_user_timeout", "4294967295"),
        u32::MAX.to_ne_bytes()
    );
    assert_eq!(value("bindtodevice", "lo"), *b"lo");
    assert_eq!(value("bindtodevice", ""), *b"");
    assert_eq!(value("linger", "off"), [0; 8]);
    assert_eq!(
        value("linger", "reset"),
        [1i32.to_ne_bytes(), [0; 4]].concat()
    );
    let range = 40_000u32 | 40_003 << 16;
    assert_eq!(
        value("local_port_range", "40000-40003"),
        range.to_ne_bytes()
    );
}

#[test]
fn wrong_values_say_what_is_expected() {
    assert_eq!(SockOpt::parse("x", "1"), Err(OptionError::Unknown));
    let wrong = |name, text| SockOpt::parse(name, text).unwrap_err().to_string();
    assert_eq!(wrong("reuseaddr", "2"), "expected `true` or `false`");
    assert_eq!(
        wrong("tcp_syncnt", "256"),
        "expected a number from 0 to 255"
    );
    assert_eq!(
        wrong("bindtodevice", "a-name-of-16-byt"),
        "expected a name of at most 15 bytes such as `lo`"
    );
    assert_eq!(
        SockOpt::new(fourtuple_syscall::OptId::ReuseAddr, OptValue::Int(1)),
        None
    );
}

#[test]
fn errnos_are_read_as_they_are_written() {
    assert!(Errno::ALL.is_sorted());
    for errno in Errno::ALL {
        assert_eq!(errno.to_string().parse(), Ok(*errno));
        assert_eq!(Errno::from_name(errno.name()), Some(*errno));
    }
    assert_eq!(Errno::EADDRNOTAVAIL.number(), 99);
    assert_eq!(Errno::new(4000).to_string(), "E4000");
    assert_eq!("E4000".parse(), Ok(Errno::new(4000)));
    for wrong in ["", "E", "E0", "E4096", "EADDR", "98"] {
        assert!(wrong.parse::<Errno>().is_err(), "{wrong}");
    }
}

#[test]
fn families_have_their_numbers() {
    assert_eq!(Family::from_name("inet6"), Some(Family::Inet6));
    assert_eq!(Family::Inet6.number(), 10);
    assert_eq!(Family::of("::1".parse().unwrap()), Family::Inet6);
}
