//! Whether tcmu-runner is running.

use std::fs::File;
use std::io;

use nix::fcntl::{FcntlArg, fcntl};

use crate::Roots;

/// The process id of a running tcmu-runner, found by the write lock it holds on `/run/tcmu.lock`
/// all its life; `None` if nobody holds one. 0 or -1 stand for a process that has no id here.
///
/// # Errors
/// If the lock file is there but cannot be opened or asked.
pub fn runner_pid(roots: &Roots) -> io::Result<Option<i32>> {
    let file = match File::open(roots.runner_lock()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    // Asks without locking: to take the lock, even for a moment, would keep a runner from starting.
    let mut lock = whole_file(libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_GETLK(&mut lock))?;
    Ok((i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid))
}

fn whole_file(kind: i32) -> libc::flock {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the constants are ints, the fields shorts"
    )]
    libc::flock {
        l_type: kind as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_held_lock_is_a_running_runner() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::under(root.path());
        assert_eq!(runner_pid(&roots).unwrap(), None);
        fs::create_dir(root.path().join("run")).unwrap();
        // What a runner that ended leaves behind.
        let file = File::create(roots.runner_lock()).unwrap();
        assert_eq!(runner_pid(&roots).unwrap(), None);
        // A lock of the open file description: a lock of this very process would not be reported.
        fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))).unwrap();
        assert!(runner_pid(&roots).unwrap().is_some());
        drop(file);
        assert_eq!(runner_pid(&roots).unwrap(), None);
    }
}
