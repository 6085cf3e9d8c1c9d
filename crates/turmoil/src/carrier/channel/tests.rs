use super::*;
use crate::carrier::wire::Body;
use fourtuple_kernel::{SegKind, Segment};
use std::net::{Ipv4Addr, SocketAddr};

const NOW: Time = Time(1_000);
/// Frames that have arrived until now are acknowledged.
const LATER: Time = Time(1_000 + DELAYED_ACK);

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn body(port: u16, kind: SegKind) -> Body {
    Body::Segment(Segment::new(at(port), at(80), kind).with_timestamps(true))
}

/// The hello, the frames, the acknowledgement.
type Written = (Option<(u64, u64)>, Vec<(u64, Body)>, Option<u64>);

/// The messages that a channel writes.
fn written(c: &mut Channel) -> Written {
    let (mut hello, mut frames, mut ack) = (None, Vec::new(), None);
    c.take(LATER, |m| match m {
        Message::Hello { boot, first } => hello = Some((*boot, *first)),
        Message::Frame { number, body } => frames.push((*number, **body)),
        Message::Ack { next } => ack = Some(*next),
    });
    (hello, frames, ack)
}

fn receive(c: &mut Channel, boot: u64, number: u64, body: Body) -> Vec<Body> {
    let (first, _) = c.frame(boot, number, body, NOW);
    let mut up: Vec<Body> = first.into_iter().map(|(_, body)| body).collect();
    if first.is_some() {
        up.extend(std::iter::from_fn(|| c.next()).map(|(_, body)| body));
    }
    up
}

#[test]
fn frames_are_numbered_written_once_and_kept_until_confirmed() {
    let mut c = Channel::new(1);
    c.push(body(1, SegKind::Ack), NOW);
    c.push(body(2, SegKind::Fin), NOW);
    let (hello, frames, _) = written(&mut c);
    assert_eq!(hello, Some((1, 0)));
    assert_eq!(frames.len(), 2);
    assert!(!c.wants_to_write(NOW) && c.oldest_written().is_some());
    c.hello(2, 0);
    assert_eq!(c.ack(2, 1, LATER.after(5)), (true, Some(5)));
    assert_eq!(c.ack(2, 1, LATER.after(5)), (false, None));
    assert_eq!(c.ack(2, 2, LATER.after(9)), (true, Some(9)));
    assert_eq!(c.oldest_written(), None);
}

#[test]
fn a_new_pipe_repeats_what_was_not_confirmed_and_the_receiver_drops_doubles() {
    let (mut a, mut b) = (Channel::new(1), Channel::new(2));
    a.push(body(1, SegKind::Data(1)), NOW);
    a.push(body(1, SegKind::Fin), NOW);
    let (_, frames, _) = written(&mut a);
    b.hello(1, 0);
    assert_eq!(receive(&mut b, 1, frames[0].0, frames[0].1).len(), 1);
    a.restart();
    let (hello, again, _) = written(&mut a);
    assert_eq!(hello, Some((1, 0)));
    assert_eq!(again, frames);
    assert!(b.hello(1, 0));
    let up: Vec<Body> = again
        .into_iter()
        .flat_map(|(n, body)| receive(&mut b, 1, n, body))
        .collect();
    assert_eq!(up, vec![body(1, SegKind::Fin)]);
    assert_eq!(written(&mut b).2, Some(2));
}

#[test]
fn frames_that_overtake_wait() {
    let mut b = Channel::new(2);
    b.hello(1, 0);
    assert!(receive(&mut b, 1, 1, body(1, SegKind::Fin)).is_empty());
    let up = receive(&mut b, 1, 0, body(1, SegKind::Data(1)));
    assert_eq!(up, vec![body(1, SegKind::Data(1)), body(1, SegKind::Fin)]);
}

#[test]
fn acknowledgements_wait_for_something_to_be_written_along() {
    let mut c = Channel::new(1);
    c.hello(2, 0);
    let (_, wakes) = c.frame(2, 0, body(1, SegKind::Ack), NOW);
    assert!(wakes && !c.wants_to_write(NOW));
    assert_eq!(c.acknowledges_at(), Some(NOW.after(DELAYED_ACK)));
    assert!(c.wants_to_write(NOW.after(DELAYED_ACK)));
    c.push(body(2, SegKind::Ack), NOW);
    let (mut frames, mut acks) = (0, 0);
    c.take(NOW, |m| match m {
        Message::Frame { .. } => frames += 1,
        Message::Ack { next } => acks += next,
        Message::Hello { .. } => {}
    });
    assert_eq!((frames, acks, c.acknowledges_at()), (1, 1, None));
    let woken = (1..=u64::from(OWED)).map(|n| c.frame(2, n, body(1, SegKind::Ack), NOW).1);
    assert_eq!(
        woken.filter(|wakes| *wakes).count(),
        2,
        "the first and the last"
    );
    assert!(c.wants_to_write(NOW));
}

#[test]
fn a_reset_is_not_repeated_and_silences_its_connection() {
    let mut a = Channel::new(1);
    a.push(body(1, SegKind::Data(1)), NOW);
    a.push(body(2, SegKind::Data(1)), NOW);
    a.push(body(1, SegKind::Rst), NOW);
    written(&mut a);
    a.push(body(1, SegKind::Ack), NOW);
    a.restart();
    let (_, frames, _) = written(&mut a);
    let bodies: Vec<Body> = frames.into_iter().map(|f| f.1).collect();
    assert_eq!(
        bodies,
        vec![
            Body::Nothing,
            body(2, SegKind::Data(1)),
            Body::Nothing,
            body(1, SegKind::Ack)
        ]
    );
}

#[test]
fn a_later_boot_starts_over_and_an_earlier_one_is_ignored() {
    let mut b = Channel::new(9);
    b.hello(3, 0);
    assert_eq!(receive(&mut b, 3, 0, body(1, SegKind::Ack)).len(), 1);
    assert!(b.hello(5, 0));
    assert_eq!(receive(&mut b, 5, 0, body(1, SegKind::Ack)).len(), 1);
    assert!(!b.hello(3, 0));
    assert!(receive(&mut b, 3, 1, body(1, SegKind::Ack)).is_empty());
}

#[test]
fn a_receiver_that_has_started_again_takes_up_where_the_sender_is() {
    let mut a = Channel::new(1);
    a.hello(2, 0);
    a.push(body(1, SegKind::Ack), NOW);
    written(&mut a);
    a.ack(2, 1, NOW);
    a.push(body(2, SegKind::Ack), NOW);
    a.restart();
    let (hello, frames, _) = written(&mut a);
    let mut b = Channel::new(3);
    let (boot, first) = hello.unwrap();
    b.hello(boot, first);
    assert_eq!(receive(&mut b, boot, frames[0].0, frames[0].1).len(), 1);
}
