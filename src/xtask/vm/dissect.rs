//! What a dissector that is not ours makes of a capture of a real record: tshark, of the capture that the scenario
//! `explaining` leaves with its results.
//!
//! Exchanges made up are looked at by the tests of `capture`; here are those that initiators sent over real
//! fabrics, aborts among them. Where tshark is not installed nothing is checked, and that is said.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::tally::Tally;
use crate::workshop::output;

/// What the scenario calls it.
const CAPTURE: &str = "ds1.pcapng";

/// COMPARE AND WRITE as Wireshark has it.
const NAME: &str = "Compare & Write(16)";

/// The severity of a warning in Wireshark (`PI_WARN` of epan/proto.h); an error's is greater.
const WARNING: &str = "0x600000";

/// Looks at the capture among `results`.
///
/// # Errors
/// When there is none, or tshark fails.
pub(super) fn captured(results: &Path) -> Result<Tally> {
    if output(Command::new("tshark").arg("--version")).is_err() {
        println!(
            "{CAPTURE}: not looked at without tshark, which `cargo xtask test --only capture` installs"
        );
        return Ok(Tally::default());
    }
    let path = results.join(CAPTURE);
    ensure!(fs::metadata(&path).is_ok(), "the scenario left no {CAPTURE}");
    let capture = Capture(&path);
    let mut tally = Tally::default();
    let mut check = |what: &str, (passed, saw): (bool, String)| {
        println!("  {} {CAPTURE}: {what}: {saw}", if passed { "ok" } else { "FAILED" });
        tally += Tally::one(passed);
    };
    check("COMPARE AND WRITE is named, with all columns of FCP", capture.compare_and_writes()?);
    check("MISCOMPARE has its sense data", capture.miscompares()?);
    check("aborts are asked for and answered", capture.aborts()?);
    check("nothing is malformed, or warned of", capture.objections()?);
    Ok(tally)
}

/// A file, as tshark shows it.
struct Capture<'p>(&'p Path);

impl Capture<'_> {
    /// These fields of the frames that pass `filter`, a row for each.
    fn rows(&self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(self.0).args(["-Y", filter, "-T", "fields"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let shown = output(&mut command).with_context(|| format!("tshark of {filter}"))?;
        let row = |line: &str| line.split('\t').map(str::to_owned).collect();
        Ok(shown.lines().map(row).collect())
    }

    fn compare_and_writes(&self) -> Result<(bool, String)> {
        let fields = [
            "_ws.col.Info",
            "fc.s_id",
            "fc.d_id",
            "fc.ox_id",
            "fcp.lun",
            "fcp.dl",
            "frame.comment",
        ];
        let rows = self.rows("scsi_sbc.opcode == 0x89", &fields)?;
        let is_whole = |row: &&Vec<String>| {
            row.len() == fields.len()
                && row[0].contains(NAME)
                && row.iter().all(|it| !it.is_empty())
        };
        let whole = rows.iter().filter(is_whole).count();
        Ok((whole > 0 && whole == rows.len(), format!("{whole} of {}", rows.len())))
    }

    fn miscompares(&self) -> Result<(bool, String)> {
        let rows = self.rows("scsi.sns.key == 0x0e", &["fcp.status", "scsi.sns.ascascq"])?;
        let right = rows.iter().filter(|row| **row == ["0x02", "0x1d00"]).count();
        Ok((right > 0 && right == rows.len(), format!("{right} of {}", rows.len())))
    }

    /// Of each exchange that is aborted, ABTS (R_CTL 81h) and BA_ACC (84h).
    fn aborts(&self) -> Result<(bool, String)> {
        let asked = self.rows("fc.r_ctl == 0x81", &["fc.ox_id"])?;
        let answered = self.rows("fc.r_ctl == 0x84", &["fc.bls_oxid"])?;
        let is_answered = |exchange: &&Vec<String>| answered.contains(exchange);
        let count = asked.iter().filter(is_answered).count();
        Ok((count > 0 && count == asked.len(), format!("{count} of {}", asked.len())))
    }

    fn objections(&self) -> Result<(bool, String)> {
        let filter = format!("_ws.malformed || _ws.expert.severity >= {WARNING}");
        let rows = self.rows(&filter, &["frame.number", "_ws.expert.message"])?;
        let first = rows.first().map_or_else(|| "none".to_owned(), |row| row.join(" "));
        Ok((rows.is_empty(), first))
    }
}
