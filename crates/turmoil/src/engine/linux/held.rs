//! Connections that are held for a time and then closed, and listeners that accept everything.

use super::conductor::Player;
use super::scene::Scene;
use crate::Socket;
use crate::engine::grant::Grant;
use fourtuple_kernel::{Endpoint, SockOpt};
use fourtuple_scenario::Close;
use std::rc::Rc;
use std::time::Duration;

/// Accepts everything on a listener and keeps it, on behalf of root.
pub(super) fn accept_all(scene: &Rc<Scene>, listener: Rc<Socket>) {
    let scene = Rc::clone(scene);
    tokio::task::spawn_local(async move {
        loop {
            let Ok((socket, _)) = listener.accept_as(0).await else {
                if listener.state() == crate::State::Listen {
                    continue;
                }
                return;
            };
            if let (local, Some(peer)) = socket.ends() {
                scene.accepted.borrow_mut().insert((local, peer), socket);
            }
        }
    });
}

/// Keeps a connection of an instance for a time, then closes it as the process says. `ends` are the
/// local and the remote end as the server sees them.
pub(super) fn hold(
    scene: &Rc<Scene>,
    instance: usize,
    client: Rc<Socket>,
    ends: Option<(Endpoint, Endpoint)>,
    time: Duration,
) {
    let grant = Grant::new();
    let open = &scene.programs.instances[instance].open;
    open.set(open.get() + 1);
    let at = scene.conductor.now() + time;
    if scene.conductor.is_ideal() {
        scene.conductor.enqueue(at, &grant);
    }
    let player = Player::new(scene, grant);
    let held = Held {
        scene: Rc::clone(scene),
        instance,
        client: Some(client),
        ends,
        player,
    };
    tokio::task::spawn_local(held.run(at));
}

struct Held {
    scene: Rc<Scene>,
    instance: usize,
    client: Option<Rc<Socket>>,
    ends: Option<(Endpoint, Endpoint)>,
    player: Player,
}

impl Held {
    async fn run(mut self, at: Duration) {
        if self.scene.conductor.is_ideal() {
            self.player.begin().await;
        } else {
            self.player.turn(at).await;
        }
        let program =
            &self.scene.programs.list[self.scene.programs.instances[self.instance].program];
        let close = program.process.close;
        let server = self
            .ends
            .is_some_and(|ends| self.scene.accepted.borrow().contains_key(&ends));
        match close {
            Close::Server if server => {
                self.close_server().await;
                self.player.turn(self.scene.conductor.now()).await;
                self.close_client().await;
            }
            Close::Both if server => {
                // In one instant: neither FIN arrives before the other end has sent its own.
                let client = self.client.take();
                let server = self.take_server();
                drop(client);
                drop(server);
                self.scene.settle().await;
                self.closed().await;
            }
            _ => {
                if close == Close::Reset
                    && let Some(client) = &self.client
                {
                    // The option cannot fail: every kernel has it.
                    let _ = client.set(SockOpt::RESET);
                }
                self.close_client().await;
                self.player.turn(self.scene.conductor.now()).await;
                self.close_server().await;
            }
        }
        self.player.done();
    }

    fn take_server(&self) -> Option<Socket> {
        self.scene.accepted.borrow_mut().remove(&self.ends?)
    }

    async fn close_client(&mut self) {
        drop(self.client.take());
        self.scene.settle().await;
        self.closed().await;
    }

    async fn close_server(&mut self) {
        let server = self.take_server();
        drop(server);
        self.scene.settle().await;
    }

    /// One connection of the instance is closed, which may be what it waits for.
    async fn closed(&mut self) {
        let scene = Rc::clone(&self.scene);
        let instance = &scene.programs.instances[self.instance];
        instance.open.set(instance.open.get().saturating_sub(1));
        if instance.open.get() > 0 {
            return;
        }
        let drained = instance.drained.take();
        if let Some(drained) = drained {
            self.player.lend(&drained, &instance.loan).await;
        }
    }
}
