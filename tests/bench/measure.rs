//! One process measured from outside: wall time, CPU time and peak memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// What a process cost, its own waited-for children included.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub wall: Duration,
    pub cpu: Duration,
    pub peak_kib: u64,
}

/// The argument that makes this program the measuring one.
pub const FLAG: &str = "--measure";

/// Runs the rest of the arguments as one child and prints what it cost. A process of its own for each measurement: the kernel's
/// peak is the largest of all children ever waited for.
pub fn as_measurer(arguments: &[String]) -> ! {
    let start = Instant::now();
    let mut command = Command::new(&arguments[0]);
    command.args(&arguments[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.spawn().and_then(|mut child| child.wait()).expect("the measured program");
    let wall = start.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("rusage");
    let micros = |t: nix::sys::time::TimeVal| t.tv_sec() * 1_000_000 + t.tv_usec();
    let cpu = micros(usage.user_time()) + micros(usage.system_time());
    println!("{} {} {cpu} {}", status.code().unwrap_or(-1), wall.as_micros(), usage.max_rss());
    std::process::exit(0);
}

/// Runs a command and gives its cost; it must end with 0. `core` pins it.
pub fn measure(command: &Command, core: Option<u32>) -> Cost {
    let own = std::env::current_exe().expect("the own path");
    let mut measurer = match core {
        Some(core) => {
            let mut pinned = Command::new("taskset");
            pinned.args(["-c", &core.to_string()]).arg(own);
            pinned
        }
        None => Command::new(own),
    };
    measurer.arg(FLAG).arg(command.get_program()).args(command.get_args());
    measurer.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            measurer.env(name, value);
        }
    }
    let output = measurer.current_dir("/").output().expect("the measurer");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<i64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [code, wall, cpu, peak] = numbers[..] else {
        panic!("measuring {command:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
    };
    assert_eq!(code, 0, "{command:?} ended with {code}");
    let micros = |n: i64| Duration::from_micros(u64::try_from(n).expect("not negative"));
    Cost { wall: micros(wall), cpu: micros(cpu), peak_kib: u64::try_from(peak).expect("not negative") }
}

/// What a process that waits costs: resident memory in KiB, and how often its threads woke up so far.
pub fn standing(pid: u32) -> (u64, u64) {
    let number = |status: &str, key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0)
    };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it still runs");
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it still runs").flatten();
    let woken = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    (number(&status, "VmRSS:"), woken.map(|status| number(&status, "voluntary_ctxt_switches:")).sum())
}

/// The value in the middle.
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("comparable"));
    sorted[sorted.len() / 2]
}

/// Milliseconds with one digit.
pub fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// How many sockets a command opens, counted by strace; `None` without strace.
pub fn sockets(command: &Command, log: &Path) -> Option<usize> {
    let strace = crate::lab::program("strace")?;
    let mut traced = Command::new(strace);
    traced.args(["-f", "-qq", "-e", "trace=socket,socketpair,connect", "-o"]).arg(log);
    traced.arg(command.get_program()).args(command.get_args()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = traced.output().ok()?;
    assert!(output.status.success(), "strace: {}", String::from_utf8_lossy(&output.stderr));
    let calls = std::fs::read_to_string(log).ok()?;
    Some(calls.lines().filter(|l| l.contains("socket") || l.contains("connect(")).count())
}
