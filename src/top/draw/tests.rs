use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::*;
use crate::Key;
use crate::model::tests::{busy, sample};
use crate::watch::screen;

#[test]
fn the_screen_is_as_it_was() {
    assert_eq!(screen(&busy()), include_str!("screen.txt"));
}

fn drawn(model: &Model, size: (u16, u16), colours: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| draw(frame, model, colours)).unwrap();
    terminal.backend().buffer().clone()
}

#[test]
fn there_are_colours_only_where_they_are_wanted() {
    let colours = |wanted| {
        let screen = drawn(&busy(), (80, 24), wanted);
        screen.content().iter().filter(|cell| cell.fg != Color::Reset).count()
    };
    assert_eq!(colours(false), 0);
    assert!(colours(true) > 100);
}

#[test]
fn any_terminal_is_large_enough() {
    let mut model = busy();
    for size in [(1, 1), (20, 5), (80, 24), (300, 100)] {
        for pane in ['c', 's', 'm', 'f', 'a'] {
            model.press(Key::Char(pane));
            drawn(&model, size, true);
        }
        model.press(Key::Escape);
    }
    drawn(&Model::default(), (80, 24), true);
}

#[test]
fn the_last_line_asks_before_anything_is_broken() {
    let mut model = busy();
    let last = |model: &Model| screen(model).lines().last().unwrap_or_default().to_owned();
    "acaw.slow".chars().for_each(|key| drop(model.press(Key::Char(key))));
    assert_eq!(last(&model), "arm for ds1, FAULT [KEY=VALUE …]: caw.slow_");
    model.press(Key::Enter);
    assert_eq!(last(&model), "Break ds1 on purpose with caw.slow? Its data may be lost. y/N");
    model.press(Key::Char('n'));
    model.note("the daemon went away".to_owned());
    assert_eq!(last(&model), "the daemon went away");
    model.press(Key::Char('d'));
    assert_eq!(last(&model), "Disarm all faults of ds1? y/N");
}

#[test]
fn the_selected_one_of_many_units_is_in_sight() {
    let mut model = Model::default();
    let luns: Vec<_> =
        (0..20).map(|nth| crate::model::tests::summary(&format!("ds{nth}"), 0, 0)).collect();
    model.take(std::time::Instant::now(), sample(luns, Vec::new()));
    for _ in 0..12 {
        model.press(Key::Down);
    }
    let screen = screen(&model);
    assert!(screen.contains("> ds12"), "{screen}");
    assert!(!screen.contains("ds13"), "{screen}");
}

#[test]
fn miscompares_of_the_unit_are_shown_with_their_findings() {
    let mut model = busy();
    model.press(Key::Char('m'));
    let below = |model: &Model| {
        let screen = screen(model);
        let lines = screen.lines().skip_while(|line| !line.starts_with("UTC"));
        lines.take(3).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(below(&model)[1], "none are recorded");
    let mut later = model.sample().unwrap().clone();
    later.miscompares = ["ds1", "ds2"]
        .map(|lun| Miscompare {
            lun: lun.to_owned(),
            time: Some("2023-11-14T22:13:35.101000Z".to_owned()),
            object: Some("file descriptor lock at 7471104".to_owned()),
            host: Some("685eb8eb-7f3e3890-4544-bc2411b17e28".to_owned()),
            finding: "slot taken from a living host".to_owned(),
            words: "…".to_owned(),
        })
        .into();
    let now = std::time::Instant::now();
    model.take(now, later.clone());
    let line = "22:13:35 slot taken from a living host file descriptor lock at 7471104 685eb8eb…";
    assert_eq!(below(&model)[1..], [line, ""]);
    later.miscompares.clear();
    later.unread_records.insert("ds1".to_owned(), "Permission denied".to_owned());
    model.take(now, later);
    assert_eq!(below(&model)[1], "no record: Permission denied");
}
