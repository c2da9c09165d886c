use super::*;

const FULL: &str = r#"
[lun.ds1]
removable = true
read_only = true
provisioning = "full"
long_cdbs = true
tell_others = true
metadata = ["43008..51200", "0..1"]
deadline_warning = "250ms"
copy_group = ""

[defaults]
compare_and_write_max_blocks = 8
medium_rotation_rate = 0x1c20
physical_block_bytes = 4096
copy_group = "cluster"

[daemon]
log = "debug"
dbus = false
polling = "off"

[metrics]
listen = "[::1]:9842"

[lun."a.b"]
compare_and_write_max_blocks = 255
naa = "naa.60014050AB8B6E11C4A4D0A9F0EC2B1B"
revision = "2"
faults = "slow.toml"
"#;

fn parse(text: &str) -> Result<Config, Box<Diagnostic>> {
    Config::parse("p.toml", text)
}

#[track_caller]
fn refuses(text: &str, wanted: &str) {
    assert_eq!(parse(text).unwrap_err().to_string(), wanted);
}

#[test]
fn an_empty_file_is_the_default() {
    let config = parse("").unwrap();
    assert_eq!(config, Config::default());
    let daemon = DaemonConfig { log: LogLevel::Info, dbus: true, polling: Polling::Auto };
    assert_eq!(config.daemon, daemon);
    assert_eq!(config.for_lun("any").compare_and_write_max_blocks.get(), 1);
    assert_eq!(config.for_lun("any").medium_rotation_rate.as_u16(), 1);
    assert!(!config.for_lun("any").removable && !config.for_lun("any").read_only);
    assert!(!config.for_lun("any").long_cdbs && !config.for_lun("any").tell_others);
    assert_eq!(config.for_lun("any").deadline_warning.duration().as_secs(), 1);
    assert_eq!(config.for_lun("any").deadline_error.duration().as_secs(), 8);
    assert_eq!(config.for_lun("any").metadata, []);
    assert_eq!(config.metrics.listen, None);
}

#[test]
fn a_lun_overrides_the_defaults_wherever_they_stand() {
    let config = parse(FULL).unwrap();
    let daemon = DaemonConfig { log: LogLevel::Debug, dbus: false, polling: Polling::Off };
    assert_eq!(config.daemon, daemon);
    let ds1 = config.for_lun("ds1");
    assert_eq!(ds1.compare_and_write_max_blocks.get(), 8);
    assert_eq!(ds1.deadline_warning.duration().as_millis(), 250);
    assert_eq!(ds1.deadline_error.duration().as_secs(), 8);
    assert_eq!(ds1.medium_rotation_rate.as_u16(), 7200);
    assert_eq!(ds1.physical_block_bytes.bytes(), 4096);
    assert!(ds1.removable && ds1.read_only && ds1.long_cdbs && ds1.tell_others);
    assert_eq!(ds1.provisioning, Provisioning::Full);
    assert_eq!(config.for_lun("other").provisioning, Provisioning::Thin);
    let ranges: Vec<String> = ds1.metadata.iter().map(LbaRange::to_string).collect();
    assert_eq!(ranges, ["43008..51200", "0..1"]);
    assert_eq!(config.for_lun("a.b").compare_and_write_max_blocks.get(), 255);
    assert_eq!(ds1.copy_group, None);
    assert_eq!(config.for_lun("other").copy_group.as_deref(), Some("cluster"));
    assert_eq!(config.for_lun("other").compare_and_write_max_blocks.get(), 8);
    assert_eq!(config.for_lun("a.b").naa.as_ref().unwrap().as_bytes()[..2], [0x60, 0x01]);
    assert_eq!(config.for_lun("a.b").revision.as_str(), "2");
    assert_eq!(config.for_lun("other").naa, None);
    assert_eq!(config.for_lun("a.b").faults.as_deref(), Some("slow.toml"));
    assert_eq!(ds1.faults, None);
}

#[test]
fn metrics_are_at_an_address_or_nowhere() {
    assert_eq!(parse(FULL).unwrap().metrics.listen, Some("[::1]:9842".parse().unwrap()));
    assert_eq!(parse("[metrics]\nlisten = \"\"").unwrap().metrics.listen, None);
    refuses(
        "[metrics]\nlisten = \"localhost:9842\"\n",
        "p.toml:2:10: listen must be an IP address and a port, as \"127.0.0.1:9842\" or \
         \"[::1]:9842\", not \"localhost:9842\"\n  \
         |\n\
         2 | listen = \"localhost:9842\"\n  \
         |          ^^^^^^^^^^^^^^^^",
    );
}

#[test]
fn a_designator_is_one_units_alone() {
    refuses(
        "[lun.a]\nnaa = \"5001405abcdef012\"\n[lun.b]\nnaa = \"5001405ABCDEF012\"\n",
        "p.toml:4:7: naa must be the name of one logical unit, not 5001405abcdef012, which another \
         has too\n  \
         |\n\
         4 | naa = \"5001405ABCDEF012\"\n  \
         |       ^^^^^^^^^^^^^^^^^^",
    );
    for key in ["naa", "faults"] {
        let message = parse(&format!("[defaults]\n{key} = \"x\"")).unwrap_err().to_string();
        assert!(message.contains(&format!("unknown key \"{key}\" in [defaults]")), "{message}");
    }
}

#[test]
fn the_effective_configuration_reads_back_as_itself() {
    for text in ["", FULL] {
        let config = parse(text).unwrap();
        assert_eq!(parse(&config.to_toml_effective()).unwrap(), config);
    }
    assert_eq!(
        Config::default().to_toml_effective(),
        "[daemon]\nlog = \"info\"\ndbus = true\npolling = \"auto\"\n\n[record]\ndirectory = \"/run/pulsefield/record\"\n\
         dumps = \"/var/lib/pulsefield/record\"\ndumps_kept = 8\n\n[metrics]\nlisten = \"\"\n\n[defaults]\ncompare_and_write_max_blocks = 1\n\
         medium_rotation_rate = 1\nphysical_block_bytes = 512\nremovable = false\n\
         read_only = false\nlong_cdbs = false\ntell_others = false\nprovisioning = \"thin\"\nmetadata = []\n\
         deadline_warning = \"1s\"\ndeadline_error = \"8s\"\n\
         vendor = \"PULSEFLD\"\nproduct = \"PULSEFIELD LUN\"\nrevision = \"0001\"\n\
         copy_group = \"\"\npool = \"\"\n\
         faulty_product = \"\"\nrecord = \"whole\"\nrecord_size = \"64MiB\"\n"
    );
}

#[test]
fn a_mistyped_key_is_shown_with_the_one_that_was_meant() {
    refuses(
        "[daemon]\nlog = \"info\"\n\n[lun.ds1]\n\tcompare_and_write_max_block = 8\n",
        "p.toml:5:2: unknown key \"compare_and_write_max_block\" in [lun.ds1]; \
         did you mean \"compare_and_write_max_blocks\"?\n  \
         |\n\
         5 |  compare_and_write_max_block = 8\n  \
         |  ^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    );
    refuses(
        "zzz = 1\n",
        "p.toml:1:1: unknown key \"zzz\" at the top level; valid are daemon, record, metrics, pool, defaults, lun\n  \
         |\n\
         1 | zzz = 1\n  \
         | ^^^",
    );
    // The first in the file, not in the alphabet.
    let both = parse("[deamon]\n[colour]\n").unwrap_err();
    assert_eq!((both.line(), both.column()), (1, 2));
}

#[test]
fn a_value_that_cannot_be_meant_is_shown_with_its_place() {
    refuses(
        "[defaults]\ncompare_and_write_max_blocks = 256\n",
        "p.toml:2:32: compare_and_write_max_blocks must be 1 to 255 blocks, not 256\n  \
         |\n\
         2 | compare_and_write_max_blocks = 256\n  \
         |                                ^^^",
    );
    refuses(
        "lun.ds1.metadata = [\"0..8\", \"9..9\"]\n",
        "p.toml:1:29: metadata must be ranges of LBAs, each \"first..end\" with first below end, \
         not \"9..9\"\n  \
         |\n\
         1 | lun.ds1.metadata = [\"0..8\", \"9..9\"]\n  \
         |                             ^^^^^^",
    );
    refuses(
        "[daemon]\nlog = \"wran\"",
        "p.toml:2:7: log cannot be \"wran\"; did you mean \"warn\"?\n  \
         |\n\
         2 | log = \"wran\"\n  \
         |       ^^^^^^",
    );
}

#[test]
fn every_wrong_type_and_value_is_refused() {
    for (text, problem) in [
        ("daemon = 1", "daemon must be a table, not an integer"),
        ("lun = []", "lun must be a table, not an array"),
        ("lun.ds1 = 3.5", "lun.ds1 must be a table, not a float"),
        ("daemon.dbus = \"yes\"", "dbus must be true or false, not a string"),
        ("daemon.log = 3", "log must be a string, not an integer"),
        ("defaults.metadata = \"0..8\"", "metadata must be an array, not a string"),
        ("defaults.metadata = [8]", "metadata must be a string, not an integer"),
        ("defaults.compare_and_write_max_blocks = true", "must be an integer, not a boolean"),
        ("defaults.compare_and_write_max_blocks = 0", "1 to 255 blocks, not 0"),
        ("defaults.compare_and_write_max_blocks = -1", "1 to 255 blocks, not -1"),
        ("defaults.physical_block_bytes = 520", "512 or 4096 bytes, not 520"),
        ("defaults.provisioning = \"thick\"", "provisioning cannot be \"thick\""),
        ("defaults.provisioning = false", "provisioning must be a string, not a boolean"),
        ("defaults.deadline_error = \"8\"", "deadline_error must be a time up to a year"),
        ("defaults.deadline_warning = 1", "deadline_warning must be a string, not an integer"),
        ("defaults.vendor = \"PULSEFIELD\"", "at most 8 printable ASCII characters, not"),
        ("defaults.product = \"a\\tb\"", "at most 16 printable ASCII characters, not"),
        ("defaults.revision = \"1.0é\"", "at most 4 printable ASCII characters, not"),
        ("lun.x.naa = \"6001\"", "naa must be 32 hexadecimal digits that begin with 6, or 16"),
        ("defaults.medium_rotation_rate = 2", "not 2"),
        ("defaults.medium_rotation_rate = 65535", "not 65535"),
        ("defaults.medium_rotation_rate = 0xffffffffffffffffff", "an integer of 64 bits"),
    ] {
        let message = parse(text).unwrap_err().problem().to_string();
        assert!(message.contains(problem), "{text}: {message}");
    }
    for range in ["", "..", "1..", "..8", "8", "8..8", "9..8", "-1..8", "+0..8", "0 .. 8", "0..=7"]
    {
        let text = format!("defaults.metadata = [\"{range}\"]");
        assert!(matches!(parse(&text).unwrap_err().problem(), Problem::Value { .. }), "{range}");
    }
    let last = "defaults.metadata = [\"0..18446744073709551615\"]";
    assert_eq!(parse(last).unwrap().for_lun("x").metadata.len(), 1);
}

#[test]
fn broken_toml_has_a_place_too() {
    for text in
        ["[daemon", "a = ", "a = \"", "[a]\n[a]\n", "\u{0}", "é = 1\n= 2", "\"\\ud800\" = 1"]
    {
        let diagnostic = parse(text).unwrap_err();
        assert!(matches!(diagnostic.problem(), Problem::Syntax(_)), "{text:?}: {diagnostic}");
        assert!(diagnostic.line() >= 1 && diagnostic.column() >= 1);
    }
}

#[test]
fn an_absent_file_is_the_default_only_for_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pulsefield.toml");
    assert_eq!(Config::load_or_default(&path).unwrap(), Config::default());
    assert!(matches!(Config::load(&path), Err(ConfigError::Unreadable { .. })));
    // What is there but cannot be read is an error for both.
    assert!(Config::load_or_default(folder.path()).is_err());
    fs::write(&path, FULL).unwrap();
    assert_eq!(Config::load_or_default(&path).unwrap(), parse(FULL).unwrap());
}

#[test]
fn changes_name_every_setting_that_differs() {
    let old = parse(
        "[lun.gone]\ncompare_and_write_max_blocks = 8\nnaa = \"3000000000000001\"\n[lun.same]\n",
    )
    .unwrap();
    let new = "[daemon]\ndbus = false\n[defaults]\nmetadata = [\"0..8\"]\n[lun.new]\n";
    let new = parse(new).unwrap();
    assert_eq!(old.changes(&old), []);
    let changes: Vec<String> = old
        .changes(&new)
        .into_iter()
        .map(|change| format!("{} {} {} {:?}", change.key, change.from, change.to, change.effect))
        .collect();
    assert_eq!(
        changes,
        [
            "daemon.dbus true false AtRestart",
            "defaults.metadata [] [\"0..8\"] Now",
            "lun.gone.compare_and_write_max_blocks 8 1 Now",
            "lun.gone.metadata [] [\"0..8\"] Now",
            "lun.gone.naa \"3000000000000001\" unset Now",
            "lun.new.metadata [] [\"0..8\"] Now",
            "lun.same.metadata [] [\"0..8\"] Now",
        ]
    );
}

#[test]
fn the_file_that_is_shipped_says_what_holds_without_it() {
    let shipped = include_str!("../../../systemd/pulsefield.toml");
    assert_eq!(parse(shipped).unwrap(), Config::default());
    // A setting is commented out without a space, a sentence with one.
    let uncommented: Vec<&str> = shipped
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            Some(_) | None => line,
        })
        .collect();
    let mut everything = parse(&uncommented.join("\n")).unwrap();
    assert!(everything.luns.remove("ds1").is_some());
    assert!(everything.pools.remove("gold").is_some());
    assert_eq!(everything, Config::default());
}
