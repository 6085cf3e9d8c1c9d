use super::*;

#[test]
fn every_name_is_found_and_unknown_ones_are_not() {
    for name in names() {
        assert!(find(&name).is_some(), "{name}");
    }
    for name in [
        "linux-",
        "linux-2.6",
        "linux-2.5.1",
        "linux-9.1",
        "linux-6.1.2.3",
        "linux-6.-1",
        "rhel-5",
        "",
    ] {
        assert!(find(name).is_none(), "{name}");
    }
    assert!(find("linux-6.17.12").is_some());
}

#[test]
fn names_with_equal_behaviours_are_one_profile() {
    let profiles = all();
    let of = |name: &str| {
        profiles
            .iter()
            .position(|p| p.names.iter().any(|n| n == name))
    };
    assert_eq!(of("rhel-6.5"), of("rhel-6.7"));
    assert_ne!(of("rhel-6.7"), of("rhel-6.8"));
    assert_eq!(of("linux-6.1"), of("debian-12"));
    assert_eq!(of("linux-6.18.0"), of("linux-6.17.13"));
    assert_ne!(of("linux-6.17"), of("linux-6.18.0"));
}
