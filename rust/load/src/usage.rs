//! CPU time and memory of a process, from Linux's /proc.

use std::fs::read_to_string;
use std::io;
use std::time::Duration;

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of all its threads, in user and kernel mode; resolution 10 ms.
    pub cpu: Duration,
    /// Resident memory, in KiB.
    pub rss_kib: u64,
}

/// Linux reports CPU time to user space in hundredths of a second, whatever its own tick is.
const TICK: Duration = Duration::from_millis(10);

impl Usage {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// There is no such process, or no /proc.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = read_to_string(format!("/proc/{pid}/stat"))?;
        let status = read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Self { cpu: cpu(&stat).ok_or(io::ErrorKind::InvalidData)?, rss_kib: rss_kib(&status).unwrap_or(0) })
    }
}

/// Fields 14 and 15; the second field is the program's name in brackets and may contain anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * user.checked_add(system)?)
}

fn rss_kib(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_any_program_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 5 0 0 0 150 50 0 0 20 0 1 0 100 1000 10 18446744073709551615";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu("7 (a) S 1"), None);
    }

    #[test]
    fn own_process_has_memory() {
        assert!(Usage::of(std::process::id()).expect("/proc").rss_kib > 0);
    }

    #[test]
    fn unknown_process_is_an_error() {
        assert!(Usage::of(u32::MAX).is_err());
    }
}
