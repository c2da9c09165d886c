//! What tshark makes of a file: a dissector that is not ours. These tests are a step of their own
//! (`cargo xtask test --only capture`), which installs it; without it they fail.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::testing::session;

/// What tshark prints of [`session`] with these arguments.
fn tshark(arguments: &[&str]) -> String {
    let mut file = Vec::new();
    let mut writer = Writer::begin(&mut file, "of a test").unwrap();
    writer.write(&session()).unwrap();
    let mut tshark = Command::new("tshark")
        .args(["-r", "-"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("tshark is to be installed");
    // It fits into the pipe, so it does not matter that nobody reads the output meanwhile.
    assert!(file.len() < 64 * 1024);
    tshark.stdin.take().unwrap().write_all(&file).unwrap();
    let output = tshark.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// These fields of the frames that pass `filter`, a line for each.
fn fields(filter: &str, names: &[&str]) -> Vec<Vec<String>> {
    let mut arguments = vec!["-Y", filter, "-T", "fields"];
    arguments.extend(names.iter().flat_map(|name| ["-e", *name]));
    let split = |line: &str| line.split('\t').map(str::to_owned).collect();
    tshark(&arguments).lines().map(split).collect()
}

#[test]
#[ignore = "needs tshark: cargo xtask test --only capture"]
fn compare_and_write_is_found_and_named() {
    let names =
        ["fc.s_id", "fc.d_id", "fc.ox_id", "fcp.lun", "fcp.dl", "frame.comment", "_ws.col.Info"];
    let found = fields("scsi_sbc.opcode == 0x89", &names);
    let info = "SCSI: Compare & Write(16) LUN: 0x05 (LBA: 43072, Len: 1)";
    let pulse = "pulse of host 685eb8eb-7f3e3890-4544-bc2411b17e28";
    let expected = [("0x0004", pulse), ("0x0005", ""), ("0x0006", "")].map(|(ox_id, comment)| {
        ["01.02.03", "0f.00.01", ox_id, "0x05", "1024", comment, info].map(str::to_owned).to_vec()
    });
    assert_eq!(found, expected);
}

#[test]
#[ignore = "needs tshark: cargo xtask test --only capture"]
fn every_command_is_named() {
    let info = fields("fc.r_ctl == 0x06", &["_ws.col.Info"]).concat();
    let names =
        ["Inquiry", "Read(10)", "Write(16)", "Compare & Write(16)", "LU_RESET", "Test Unit Ready"];
    for name in names {
        assert!(info.iter().any(|info| info.contains(name)), "{name} in {info:?}");
    }
}

#[test]
#[ignore = "needs tshark: cargo xtask test --only capture"]
fn statuses_sense_data_and_residuals_are_decoded() {
    let names = [
        "fc.ox_id",
        "fcp.status",
        "scsi.sns.key",
        "scsi.sns.ascascq",
        "scsi.sns.info",
        "fcp.resid",
    ];
    let mut rows = fields("fcp.status", &names);
    rows.sort();
    assert_eq!(rows[0], ["0x0001", "0x00", "", "", "", "219"]);
    assert_eq!(rows[4], ["0x0005", "0x02", "0x0e", "0x1d00", "0x00000014", "0"]);
    assert_eq!(rows.len(), 7);
}

#[test]
#[ignore = "needs tshark: cargo xtask test --only capture"]
fn an_abort_names_the_exchange_of_its_task() {
    let rows = fields(
        "fc.r_ctl == 0x81 || fc.r_ctl == 0x84",
        &["_ws.col.Info", "fc.ox_id", "fc.bls_oxid"],
    );
    assert_eq!(rows, [["ABTS", "0x0006", ""], ["BA_ACC", "0x0006", "0x0006"]]);
}

#[test]
#[ignore = "needs tshark: cargo xtask test --only capture"]
fn data_in_several_frames_is_put_together() {
    let last = fields("fc.ox_id == 2 && fc.seq_cnt == 7", &["fc.reassembled", "data.len"]);
    assert_eq!(last, [["1", "8192"]]);
}

#[test]
#[ignore = "needs tshark: cargo xtask test --only capture"]
fn nothing_is_malformed() {
    // 6 MiB is the severity of a warning.
    assert_eq!(tshark(&["-Y", "_ws.malformed || _ws.expert.severity >= 0x600000"]), "");
    // And there is something to object to.
    assert_eq!(tshark(&[]).lines().count(), session().iter().flat_map(Exchange::frames).count());
}
