//! Timers of a connection: the repetition of its SYN (`tcp_retransmit_timer`) and the delayed
//! acknowledgement of a FIN (`tcp_send_delayed_ack`).

use crate::chooser::Chooser;
use crate::conn::segment::SegKind;
use crate::machine::Machine;
use crate::profile::behaviour::TwTimer;
use crate::time::MS;
use crate::time_wait::timer::grid_step;
use crate::timers::TimerKind;

impl<C: Chooser> Machine<C> {
    /// Arms the repetition of a SYN: after 1 s (old kernels 3 s), then twice as long each time;
    /// newer kernels repeat the first few at the same distance.
    pub(crate) fn arm_syn_retry(&mut self, i: u32) {
        let mut timer = self.timer(TimerKind::SynRetry, i, self.syn_retry_delay(i), 0);
        timer.latest = timer.latest.after(self.syn_retry_lateness(i));
        self.socks[i].timer = self.timers.arm(timer);
    }

    /// Arms the delayed acknowledgement of a lone FIN.
    pub(crate) fn arm_delayed_ack(&mut self, i: u32) {
        let delay = u64::from(self.b.peek().delayed_ack_ms) * MS;
        self.socks[i].timer = self.arm(TimerKind::DelayedAck, i, delay, delay);
    }

    fn syn_retry_delay(&self, i: u32) -> u64 {
        self.syn_delay_after(self.socks[i].ns, u32::from(self.socks[i].retries))
    }

    /// The time until the next repetition of a SYN after `retries` of them.
    pub(crate) fn syn_delay_after(&self, ns: u16, retries: u32) -> u64 {
        self.ns(ns).values.syn_delay_after(self.b.peek(), retries)
    }

    /// The most by which the next repetition of a SYN may be late on a recorded kernel. Each counts
    /// from the one before and waits for a step of the timer wheel, so that they are later and
    /// later.
    fn syn_retry_lateness(&self, i: u32) -> u64 {
        if self.chooser.slack() == 0 || self.b.tw_timer() != TwTimer::Grid {
            return 0;
        }
        (0..=u32::from(self.socks[i].retries))
            .map(|n| grid_step(self.b.peek(), self.syn_delay_after(self.socks[i].ns, n)))
            .sum()
    }

    pub(crate) fn retry_syn(&mut self, i: u32) {
        let ns = self.socks[i].ns;
        let limit = self.socks[i]
            .cold
            .as_ref()
            .and_then(|c| c.syn_count)
            .unwrap_or_else(|| self.ns(ns).values.syn_retries(&self.b));
        let (limit, retries) = (u32::from(limit), u32::from(self.socks[i].retries));
        let waited: u64 = (0..=retries).map(|n| self.syn_delay_after(ns, n)).sum();
        let values = &self.ns(ns).values;
        // The repetitions at equal distance come on top.
        let most = limit + values.syn_linear(&self.b);
        if retries >= most || waited >= values.syn_time_limit(self.b.peek(), limit) {
            self.socks[i].error = Some(crate::Errno::ETIMEDOUT);
            self.set_close(i);
            self.drop_orphan(i);
            return;
        }
        self.socks[i].retries += 1;
        self.send(i, SegKind::Syn);
        self.arm_syn_retry(i);
    }
}
