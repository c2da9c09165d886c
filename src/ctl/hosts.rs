//! `pulsefield hosts`: which hosts pulse, and how regularly.

use std::io::{self, Write};
use std::time::Duration;

use pulsefield_control::protocol::{HostPulse, LunHosts};

use crate::print::{duration, table};

pub(crate) fn hosts(luns: &[LunHosts], out: &mut dyn Write) -> io::Result<()> {
    let header = ["LUN", "HOST", "ADDRESS", "SLOT", "LAST PULSE", "LONGEST PAUSE", "OVER 8s", "UP"];
    let mut rows = vec![header.map(str::to_owned)];
    for LunHosts { lun, hosts } in luns {
        rows.extend(hosts.iter().map(|host| {
            let HostPulse { host, slot, address, up_ms, age_ms, intervals, late, longest_ms } =
                host;
            [
                lun.clone(),
                host.clone(),
                address.clone().unwrap_or_else(|| "-".to_owned()),
                slot.to_string(),
                format!("{} ago", seconds(*age_ms)),
                if *intervals > 0 { seconds(*longest_ms) } else { "-".to_owned() },
                late.to_string(),
                duration(*up_ms),
            ]
        }));
    }
    match rows.len() {
        1 => writeln!(out, "no host was seen to pulse"),
        _ => table(out, &rows),
    }
}

/// Tenths tell a pulse that came in time from one that did not.
fn seconds(ms: u64) -> String {
    format!("{:.1} s", Duration::from_millis(ms).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_line() {
        let host = HostPulse {
            host: "685eb8eb-7f3e3890-4544-bc2411b17e28".to_owned(),
            slot: 64,
            age_ms: 1_249,
            ..HostPulse::default()
        };
        let lun = LunHosts { lun: "ds1".to_owned(), hosts: vec![host] };
        let mut text = Vec::new();
        hosts(&[lun], &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let line = text.lines().nth(1).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let start =
            ["ds1", "685eb8eb-7f3e3890-4544-bc2411b17e28", "-", "64", "1.2", "s", "ago", "-"];
        assert_eq!(words[..8], start, "{text}");
        let mut text = Vec::new();
        hosts(&[], &mut text).unwrap();
        assert_eq!(text, b"no host was seen to pulse\n");
    }
}
