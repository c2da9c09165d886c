//! How a thread that heartbeats wait for runs before everybody else.
//!
//! The kernel's fair scheduler may leave whoever was woken in a queue behind whoever runs, for milliseconds where processors
//! are short, and the way of a heartbeat leads through a unit's thread twice: when it comes in and when the medium
//! is through with it. With a real-time policy that thread runs as soon as it is woken (sched(7)).
//!
//! The lowest of the real-time priorities does for that: whatever else is real-time on the machine is so with a
//! reason. `SCHED_RR`, so that units of one processor take turns. What such a thread starts runs like
//! everybody, among them the kernel's own threads for io_uring: they copy bulk.
//!
//! `unsafe` below rests on nothing: the one call reads a struct of this file.

#![allow(unsafe_code)]

use std::io;

use nix::errno::Errno;

/// As sched(7) has them, 1 is the lowest.
const PRIORITY: libc::c_int = 1;

/// Has the calling thread go before all that is not real-time, or ends that. Threads that it starts do not.
///
/// # Errors
/// `EPERM` if it may not: a process needs `CAP_SYS_NICE`, or an `RLIMIT_RTPRIO` of 1.
pub fn set_precedence(wanted: bool) -> io::Result<()> {
    let (policy, sched_priority) =
        if wanted { (libc::SCHED_RR, PRIORITY) } else { (libc::SCHED_OTHER, 0) };
    let parameters = libc::sched_param { sched_priority };
    // SAFETY: 0 is the calling thread, and the pointer is to a struct that outlives the call, which only reads it.
    let outcome = unsafe {
        libc::sched_setscheduler(0, policy | libc::SCHED_RESET_ON_FORK, &raw const parameters)
    };
    Ok(Errno::result(outcome).map(drop)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    /// The scheduling policy of this thread: field 41 of proc_pid_stat(5), of which the second ends with `)`.
    fn policy() -> libc::c_int {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        rest.split(' ').nth(41 - 3).unwrap().parse().unwrap()
    }

    #[test]
    fn a_thread_goes_first_alone_and_gives_that_back() {
        match set_precedence(true) {
            Ok(()) => {
                assert_eq!(policy(), libc::SCHED_RR);
                let started = thread::spawn(policy).join().unwrap();
                assert_eq!(started, libc::SCHED_OTHER, "what it starts is like everybody");
                set_precedence(false).unwrap();
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
