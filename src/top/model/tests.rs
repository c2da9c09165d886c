use pulsefield_control::protocol::{
    CommandLatency, DbusState, LunHosts, LunSummary, Quantiles, Status,
};

use super::*;

pub(crate) fn summary(name: &str, miscompares: u64, faults_armed: u64) -> LunSummary {
    LunSummary {
        name: name.to_owned(),
        id: 0,
        handler: "ram".to_owned(),
        cfgstring: "ram/".to_owned(),
        size_bytes: 1 << 30,
        block_length_bytes: 512,
        state: LunState::Serving,
        faults_armed,
        data_area_mb: 256,
        data_area_peak_percent: 7,
        ring_peak_percent: 1,
        miscompares,
    }
}

/// So many COMPARE AND WRITEs, which took 100 µs each.
fn latency(name: &str, count: u64) -> LunLatency {
    let heartbeats = CommandLatency {
        lane: Some("heartbeat".to_owned()),
        opcode: Some(COMPARE_AND_WRITE),
        command: "COMPARE AND WRITE".to_owned(),
        count,
        sum_us: 100 * count,
        total: Quantiles { p50_us: 80, p99_us: 900, p999_us: 990, max_us: 1_000 },
        ..CommandLatency::default()
    };
    LunLatency { lun: name.to_owned(), commands: vec![heartbeats], ..LunLatency::default() }
}

pub(crate) fn sample(luns: Vec<LunSummary>, latency: Vec<LunLatency>) -> Sample {
    let status = Status {
        daemon_version: "0.1.0".to_owned(),
        pid: 1,
        uptime_ms: 93_784_000,
        config: "p.toml".to_owned(),
        handlers: vec!["ram".to_owned()],
        luns_serving: luns.len() as u64,
        luns_total: luns.len() as u64,
        dbus: DbusState::Disabled,
        faults_armed: luns.iter().map(|lun| lun.faults_armed).sum(),
        late: 2,
        too_late: 1,
        fullest: None,
    };
    Sample {
        status,
        luns,
        latency,
        hosts: Vec::new(),
        faults: Vec::new(),
        miscompares: Vec::new(),
        unread_records: BTreeMap::new(),
    }
}

/// Two units; the first has two hosts and a fault, and miscompared between two samples.
pub(crate) fn busy() -> Model {
    let mut model = Model::default();
    let start = Instant::now();
    let first = sample(
        vec![summary("ds1", 3, 0), summary("ds2", 0, 0)],
        vec![latency("ds1", 1_000), latency("ds2", 0)],
    );
    model.take(start, first);
    let mut second = sample(
        vec![summary("ds1", 4, 2), summary("ds2", 0, 0)],
        vec![latency("ds1", 1_042), latency("ds2", 0)],
    );
    let host = |host: &str, age_ms| HostPulse {
        host: host.to_owned(),
        slot: 64,
        address: Some("10.0.0.229".to_owned()),
        age_ms,
        ..HostPulse::default()
    };
    let hosts = vec![
        host("685eb8eb-7f3e3890-4544-bc2411b17e28", 1_250),
        host("685eb8eb-7f3e3890-4544-bc2411b17e29", 17_000),
    ];
    second.hosts = vec![LunHosts { lun: "ds1".to_owned(), hosts }];
    model.take(start + Duration::from_secs(2), second);
    model
}

fn press(model: &mut Model, keys: &str) -> Then {
    let mut then = Then::Draw;
    for character in keys.chars() {
        then = model.press(match character {
            '\n' => Key::Enter,
            '<' => Key::Backspace,
            other => Key::Char(other),
        });
    }
    then
}

#[test]
fn rates_are_of_what_grew_between_two_samples() {
    let mut model = busy();
    let rows = model.rows();
    assert_eq!((rows[0].commands, rows[0].compare_and_writes), (Some(21.0), Some(21.0)));
    assert_eq!((rows[0].heartbeat_p99_us, rows[0].bulk_p99_us), (Some(900), None));
    assert_eq!((rows[1].commands, rows[1].name.as_str()), (Some(0.0), "ds2"));
    assert_eq!(model.history().collect::<Vec<_>>(), [100, 100]);
    assert_eq!(model.since_miscompare(), Some(Duration::ZERO));
    // Counts that began anew have no rate, and a mean of their own.
    let after = Instant::now() + Duration::from_secs(3);
    model.take(after, sample(vec![summary("ds1", 0, 0)], vec![latency("ds1", 5)]));
    assert_eq!(model.rows()[0].commands, None);
    assert_eq!(model.history().last(), Some(100));
}

#[test]
fn a_unit_stays_selected_for_as_long_as_it_is_there() {
    let mut model = busy();
    assert_eq!(model.selected(), Some("ds1"));
    press(&mut model, "jj");
    assert_eq!(model.selected(), Some("ds2"));
    let now = Instant::now();
    model.take(now, sample(vec![summary("ds0", 0, 0), summary("ds2", 0, 0)], vec![]));
    assert_eq!(model.selected(), Some("ds2"));
    model.take(now, sample(vec![summary("ds0", 0, 0)], vec![]));
    assert_eq!(model.selected(), Some("ds0"));
    model.press(Key::Up);
    model.take(now, sample(vec![], vec![]));
    assert_eq!((model.selected(), model.rows().len()), (None, 0));
    assert_eq!(press(&mut model, "adjk"), Then::Draw);
}

#[test]
fn whoever_is_silent_for_longest_comes_first() {
    let standings: Vec<_> = busy().hosts().iter().map(|host| Standing::of(host)).collect();
    assert_eq!(standings, [Standing::Lost, Standing::Alive]);
}

#[test]
fn nothing_is_armed_or_disarmed_without_a_question() {
    let mut model = busy();
    assert_eq!(press(&mut model, "acaw.slower<< delay=8s\n"), Then::Draw);
    let (lun, fault) = ("ds1".to_owned(), "caw.slow delay=8s".to_owned());
    let arm = Order::Arm { lun, fault };
    assert_eq!(model.mode(), &Mode::Asking(arm.clone()));
    assert_eq!(press(&mut model, "y"), Then::Do(arm));
    assert_eq!(press(&mut model, "d"), Then::Draw);
    assert_eq!(press(&mut model, "n"), Then::Draw);
    assert_eq!(press(&mut model, "dy"), Then::Do(Order::Disarm { lun: "ds1".to_owned() }));
    // A unit without faults has none to disarm.
    assert_eq!(press(&mut model, "jd"), Then::Draw);
    assert_eq!(
        (model.mode(), model.notice()),
        (&Mode::Watching, Some("no faults are armed for ds2"))
    );
}

#[test]
fn typing_can_be_given_up() {
    let mut model = busy();
    press(&mut model, "aq");
    assert_eq!(model.press(Key::Escape), Then::Draw);
    assert_eq!((press(&mut model, "a \n"), model.mode()), (Then::Draw, &Mode::Watching));
    press(&mut model, &format!("a{}", "x".repeat(1000)));
    let Mode::Typing { text, .. } = model.mode() else { panic!("{:?}", model.mode()) };
    assert_eq!(text.len(), TYPED_MAX);
    model.press(Key::Escape);
    assert_eq!(press(&mut model, "q"), Then::Quit);
}
