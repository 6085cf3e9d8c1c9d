//! Follows recordings of real kernels with the model: `follow FILE...`
#![allow(unreachable_pub)]
#[path = "../../harness/src/trace.rs"]
#[allow(dead_code, missing_docs)]
mod trace;
use fourtuple_kernel::follow::Follower;
fn main() {
    let mut total = (0, 0, 0);
    for f in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&f).unwrap();
        let (mut programs, mut calls, mut bad, mut most) = (0, 0, 0, 0);
        for boot in trace::read(&text).unwrap() {
            let p = fourtuple_kernel::profile::find(&boot.header.profile).unwrap();
            let mut fo = Follower::new(p.behaviours);
            'prog: for (pi, prog) in boot.programs.iter().enumerate() {
                programs += 1;
                let mut names = trace::Names::default();
                for (i, s) in prog.steps.iter().enumerate() {
                    let Some(c) = s.call(&mut names).unwrap() else {
                        continue;
                    };
                    calls += 1;
                    if let Err(d) = fo.step(c.at, &c.op, &c.seen) {
                        bad += 1;
                        if bad <= 3 || std::env::var("ALL").is_ok() {
                            println!(
                                "{f} prog#{pi} {} step {i}: {:?} seen {:?} allowed {:?} beliefs {}",
                                prog.program,
                                s,
                                c.seen,
                                d.allowed,
                                fo.beliefs()
                            );
                            if bad == 1 {
                                for s in &prog.steps[..=i] {
                                    println!("   {}", serde_json::to_string(s).unwrap());
                                }
                            }
                        }
                        continue 'prog;
                    }
                    if fo.beliefs() > 300 {
                        println!(
                            "{} step {i} beliefs {} {:?}",
                            prog.program,
                            fo.beliefs(),
                            s.op
                        );
                    }
                }
                most = most.max(fo.most_beliefs());
            }
        }
        println!("{f}: programs {programs} calls {calls} bad {bad} most {most}");
        total.0 += programs;
        total.1 += calls;
        total.2 += bad;
    }
    println!("{total:?}");
}
