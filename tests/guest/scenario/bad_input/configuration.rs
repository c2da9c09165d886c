//! Strings and files an administrator mistypes: each is refused with its reason and leaves nothing.

use std::fs;

use anyhow::Result;

use crate::backstore::{Backstore, Kind};
use crate::command::run as command;
use crate::configfs::{Folder, user_devices};
use crate::daemon::{self, CONFIGURATION};
use crate::report::Report;
use crate::targetcli::attempt;

/// A cfgstring, and words that its refusal must contain.
#[rustfmt::skip]
const CFGSTRINGS: [(&str, &[&str]); 13] = [
    ("floppy//srv/x.img", &["no handler `floppy`", "file"]),
    ("fiel//srv/x.img", &["no handler `fiel`", "did you mean `file`"]),
    ("ram", &["no `/`"]),
    ("/srv/x.img", &["no handler before"]),
    ("file/", &["absolute path"]),
    ("file/srv/x.img", &["not an absolute path", "file//srv/x.img"]),
    ("file//no/such/x.img", &["no folder /no/such"]),
    ("file//srv", &["folder", "regular file"]),
    ("file//dev/null", &["character device", "regular file"]),
    ("file//srv/x.img;cahce=write-through", &["no option `cahce`", "did you mean `cache`"]),
    ("file//srv/x.img;cache=write-thru", &["write-thru", "did you mean `write-through`"]),
    ("file//srv/x.img;workers=0", &["workers", "from 1 to"]),
    ("ram/here", &["here"]),
];

pub(super) fn run(report: &mut Report) -> Result<()> {
    report.step("cfgstrings that are wrong, through targetcli");
    let devices = user_devices()?;
    for (cfgstring, words) in CFGSTRINGS {
        refused(
            report,
            &Backstore {
                cfgstring: cfgstring.to_owned(),
                ..Backstore::new(Kind::Pulsefield, "wrong", "64M")
            },
            words,
        )?;
    }
    report.step("two LUNs on one file, and a file of another size");
    let first = Backstore::new(Kind::Pulsefield, "first", "64M");
    first.create()?;
    let second = Backstore { name: "second".to_owned(), ..first.clone() };
    refused(report, &second, &["first.img is in use"])?;
    first.delete()?;
    let larger = Backstore { size: "128M".to_owned(), ..first };
    // targetcli's question does not contain the size: the kernel's does, and the journal has the reason.
    refused(report, &larger, &[])?;
    let reason = "holds 67108864 bytes, the logical unit wants 134217728";
    let said = daemon::journal()?.contains(reason);
    report.equal("the journal says why a file of another size is refused", true, said);
    report.equal("UIO devices after all refusals", devices.len(), user_devices()?.len());
    toml(report)
}

fn refused(report: &mut Report, backstore: &Backstore, words: &[&str]) -> Result<()> {
    let ended = attempt(&[
        backstore.kind.folder(),
        "create",
        &format!("name={}", backstore.name),
        &format!("size={}", backstore.size),
        &format!("cfgstring={}", backstore.cfgstring),
    ])?;
    let said = ended.said();
    let right = ended.code != 0 && words.iter().all(|word| said.contains(word));
    let expected = format!("refused, saying {}", words.join(" and "));
    report.check(&format!("cfgstring {}", backstore.cfgstring), right, expected, &said);
    if Folder::find(&backstore.name)?.is_some() {
        report.check(&format!("{} afterwards", backstore.name), false, "not there", "there");
        backstore.delete()?;
    }
    Ok(())
}

/// A configuration with a mistake is refused with its place, and the running one stays.
fn toml(report: &mut Report) -> Result<()> {
    report.step("a configuration file that is wrong");
    let before = fs::read_to_string(CONFIGURATION).ok();
    fs::create_dir_all("/etc/pulsefield")?;
    fs::write(CONFIGURATION, "[lun.ds1]\nchace = \"write-through\"\n")?;
    for arguments in [&["check", CONFIGURATION] as &[&str], &["reload"]] {
        let ended = command("pulsefield", arguments).ended()?;
        let said = ended.said();
        let right = ended.code != 0 && said.contains("chace") && said.contains(":2:1:");
        let name = format!("pulsefield {}", arguments.join(" "));
        report.check(&name, right, "refused, naming the key, line 2 and column 1", &said);
    }
    match before {
        Some(text) => fs::write(CONFIGURATION, text)?,
        None => fs::remove_file(CONFIGURATION)?,
    }
    let works = command("pulsefield", ["reload"]).output();
    report.works("pulsefield reload with the file put right", works);
    Ok(())
}
