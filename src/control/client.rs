//! The asking end of the control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::protocol::{
    ArmRequest, Change, Envelope, FaultHit, LunDetail, LunFaults, LunHosts, LunLatency, LunSummary,
    MAX_RESPONSE_BYTES, Request, Response, Status, VERSION,
};

/// How long a daemon may take to answer. Reading a configuration and counting commands takes
/// milliseconds; this is for a machine that swaps.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the daemon behind one control socket; each question is a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No daemon is behind the socket.
    #[error("no daemon answers on {path}: is pulsefield.service running?", path = path.display())]
    NoDaemon {
        /// The control socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The caller is not who may ask.
    #[error("{path} is for root only", path = path.display())]
    NotAllowed {
        /// The control socket.
        path: PathBuf,
    },
    /// The daemon did not answer in time.
    #[error(
        "the daemon on {path} has not answered for {seconds} s",
        path = path.display(),
        seconds = PATIENCE.as_secs()
    )]
    TimedOut {
        /// The control socket.
        path: PathBuf,
    },
    /// The connection broke.
    #[error("the daemon on {path} went away", path = path.display())]
    Broken {
        /// The control socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The daemon said no.
    #[error("{message}")]
    Refused {
        /// Its words.
        message: String,
    },
    /// The answer cannot be read: the daemon is of another make.
    #[error("the daemon on {path} does not speak protocol version {VERSION}", path = path.display())]
    Protocol {
        /// The control socket.
        path: PathBuf,
        /// What is wrong with the answer, if it is JSON at all.
        source: Option<serde_json::Error>,
    },
}

impl Client {
    /// Will ask at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// How the daemon is.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn status(&self) -> Result<Status, ClientError> {
        let Response::Status(status) = self.ask(Request::Status)? else {
            return Err(self.protocol(None));
        };
        Ok(status)
    }

    /// All logical units in brief.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub fn luns(&self) -> Result<Vec<LunSummary>, ClientError> {
        let Response::LunList { luns } = self.ask(Request::LunList)? else {
            return Err(self.protocol(None));
        };
        Ok(luns)
    }

    /// The logical unit `name` in full.
    ///
    /// # Errors
    /// If there is none of that name, or the daemon does not answer.
    pub fn lun(&self, name: &str) -> Result<LunDetail, ClientError> {
        let Response::LunShow(lun) = self.ask(Request::LunShow { name: name.to_owned() })? else {
            return Err(self.protocol(None));
        };
        Ok(*lun)
    }

    /// How long the commands of one logical unit, or of all, take; `clear` has the daemon forget it
    /// then.
    ///
    /// # Errors
    /// If there is no such unit, it does not serve, or there is no answer.
    pub fn latency(&self, lun: Option<&str>, clear: bool) -> Result<Vec<LunLatency>, ClientError> {
        let request = Request::Latency { lun: lun.map(str::to_owned), clear };
        let Response::Latency { luns } = self.ask(request)? else {
            return Err(self.protocol(None));
        };
        Ok(luns)
    }

    /// Which hosts pulse on one logical unit, or on all.
    ///
    /// # Errors
    /// If there is no such unit, it does not serve, or there is no answer.
    pub fn hosts(&self, lun: Option<&str>) -> Result<Vec<LunHosts>, ClientError> {
        let request = Request::Hosts { lun: lun.map(str::to_owned) };
        let Response::Hosts { luns } = self.ask(request)? else {
            return Err(self.protocol(None));
        };
        Ok(luns)
    }

    /// Has the daemon read its configuration again; what that changed.
    ///
    /// # Errors
    /// What is wrong with the configuration, or if the daemon does not answer.
    pub fn reload(&self) -> Result<Vec<Change>, ClientError> {
        let Response::Reload { changed } = self.ask(Request::Reload)? else {
            return Err(self.protocol(None));
        };
        Ok(changed)
    }

    /// Arms a plan of faults; what is armed by that.
    ///
    /// # Errors
    /// What is wrong with the plan, that there is nothing to arm it for, or if the daemon does not
    /// answer.
    pub fn arm_faults(&self, request: ArmRequest) -> Result<Vec<LunFaults>, ClientError> {
        let Response::FaultArm { armed } = self.ask(Request::FaultArm(request))? else {
            return Err(self.protocol(None));
        };
        Ok(armed)
    }

    /// Disarms the faults of one logical unit or of all, those of one rule or all; how many rules
    /// that were.
    ///
    /// # Errors
    /// If there is no such unit or rule, or the daemon does not answer.
    pub fn disarm_faults(&self, lun: Option<&str>, rule: Option<&str>) -> Result<u64, ClientError> {
        let (lun, rule) = (lun.map(str::to_owned), rule.map(str::to_owned));
        let Response::FaultDisarm { rules } = self.ask(Request::FaultDisarm { lun, rule })? else {
            return Err(self.protocol(None));
        };
        Ok(rules)
    }

    /// What is armed for one logical unit or for all.
    ///
    /// # Errors
    /// If there is no such unit, or the daemon does not answer.
    pub fn faults(&self, lun: Option<&str>) -> Result<Vec<LunFaults>, ClientError> {
        let request = Request::FaultList { lun: lun.map(str::to_owned) };
        let Response::FaultList { luns } = self.ask(request)? else {
            return Err(self.protocol(None));
        };
        Ok(luns)
    }

    /// Which rule hit which command, of one logical unit or of all.
    ///
    /// # Errors
    /// If there is no such unit, or the daemon does not answer.
    pub fn fault_log(&self, lun: Option<&str>) -> Result<Vec<FaultHit>, ClientError> {
        let request = Request::FaultLog { lun: lun.map(str::to_owned) };
        let Response::FaultLog { hits } = self.ask(request)? else {
            return Err(self.protocol(None));
        };
        Ok(hits)
    }

    /// A plan that hits exactly what the plans have hit that are armed for the unit `lun`.
    ///
    /// # Errors
    /// If there is no such unit, its log is not whole, or the daemon does not answer.
    pub fn export_faults(&self, lun: &str) -> Result<String, ClientError> {
        let request = Request::FaultExport { lun: lun.to_owned() };
        let Response::FaultExport { plan } = self.ask(request)? else {
            return Err(self.protocol(None));
        };
        Ok(plan)
    }

    fn ask(&self, request: Request) -> Result<Response, ClientError> {
        let mut line = serde_json::to_vec(&Envelope::new(request))
            .map_err(|fault| self.broken(fault.into()))?;
        line.push(b'\n');
        let mut stream = self.connect()?;
        stream.write_all(&line).map_err(|source| self.broken(source))?;
        // One byte more than an answer may have, to tell a long answer from a longer one.
        let limit = u64::try_from(MAX_RESPONSE_BYTES + 1).unwrap_or(u64::MAX);
        let mut answer = Vec::new();
        BufReader::new(stream.take(limit))
            .read_until(b'\n', &mut answer)
            .map_err(|source| self.broken(source))?;
        if answer.is_empty() {
            return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
        }
        self.read(&answer)
    }

    fn connect(&self) -> Result<UnixStream, ClientError> {
        let stream = UnixStream::connect(&self.path).map_err(|source| {
            let path = self.path.clone();
            if source.kind() == io::ErrorKind::PermissionDenied {
                ClientError::NotAllowed { path }
            } else {
                ClientError::NoDaemon { path, source }
            }
        })?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
            .map_err(|source| self.broken(source))?;
        Ok(stream)
    }

    fn read(&self, answer: &[u8]) -> Result<Response, ClientError> {
        if answer.len() > MAX_RESPONSE_BYTES {
            return Err(self.protocol(None));
        }
        let Envelope { version, message } =
            serde_json::from_slice(answer).map_err(|fault| self.protocol(Some(fault)))?;
        if version != VERSION {
            return Err(self.protocol(None));
        }
        if let Response::Error { message } = message {
            return Err(ClientError::Refused { message });
        }
        Ok(message)
    }

    fn protocol(&self, source: Option<serde_json::Error>) -> ClientError {
        ClientError::Protocol { path: self.path.clone(), source }
    }

    fn broken(&self, source: io::Error) -> ClientError {
        let path = self.path.clone();
        // WouldBlock is what Linux says when a socket's time-out has passed.
        if matches!(source.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            ClientError::TimedOut { path }
        } else {
            ClientError::Broken { path, source }
        }
    }
}
