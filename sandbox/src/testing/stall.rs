//! A process in which one stage hangs: how to start it, and what its log reports.

/// The variables of a process whose `stage` hangs, as at a lock that is never released.
pub fn hanging(stage: &str) -> [(&'static str, &str); 4] {
    [
        ("FAULT_HANG", stage),
        ("MILLRACE_HEALTH__ENABLED", "true"),
        ("MILLRACE_HEALTH__PORT", "0"),
        ("MILLRACE_HEALTH__STALL_AFTER", "1s"),
    ]
}

/// How many lines of `log` report that `stage` is stuck.
pub fn stall_reports(log: &str, stage: &str) -> usize {
    let stage = format!("stage=\"{stage}\"");
    log.lines().filter(|line| line.contains("makes no progress") && line.contains(&stage)).count()
}

/// The port at which the process of this `log` answers whether it is alive.
pub fn health_port(log: &str) -> u16 {
    let (_, after) = log.split_once("health is at http://127.0.0.1:").expect("the port is logged");
    after.split_once('/').and_then(|(port, _)| port.parse().ok()).expect("a port")
}
