//! The loop on a real terminal: samples from one thread, keys and drawing on this one.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::model::{Key, Model, Order, Then};
use crate::{Sample, draw};

/// The time between two samples.
const PERIOD: Duration = Duration::from_secs(1);

/// How long a key is waited for before samples are looked for again.
const TICK: Duration = Duration::from_millis(100);

/// The screen that is drawn where there is none.
const COLUMNS: u16 = 80;
const LINES: u16 = 24;

/// The daemon, as far as it is of use here. May take its time, and is asked from two threads.
pub trait Daemon: Send + Sync + 'static {
    /// Why it says nothing.
    type Error: Display + Send;

    /// What it says now.
    ///
    /// # Errors
    /// If it says nothing.
    fn look(&self) -> Result<Sample, Self::Error>;

    /// Has it do something; says what was done.
    ///
    /// # Errors
    /// Why it was not done, in words.
    fn carry_out(&self, order: &Order) -> Result<String, String>;
}

/// Two samples a second apart, as rates need them: the latter, and the screen that it makes.
///
/// # Errors
/// If the daemon says nothing.
pub fn once<D: Daemon>(daemon: &D) -> Result<(Sample, String), D::Error> {
    let mut model = Model::default();
    model.take(Instant::now(), daemon.look()?);
    thread::sleep(PERIOD);
    let sample = daemon.look()?;
    model.take(Instant::now(), sample.clone());
    Ok((sample, screen(&model)))
}

/// What is drawn of `model`, as text.
pub(crate) fn screen(model: &Model) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(COLUMNS, LINES));
    let Ok(_) = terminal.draw(|frame| draw(frame, model, false));
    let buffer = terminal.backend().buffer();
    let line = |y: u16| {
        let cells = (0..COLUMNS).filter_map(|x| buffer.cell((x, y)));
        let line: String = cells.map(|cell| cell.symbol().to_owned()).collect();
        format!("{}\n", line.trim_end())
    };
    (0..LINES).map(line).collect()
}

/// Shows the daemon until somebody has seen enough.
///
/// # Errors
/// If standard output is no terminal, or does not do as it is told.
pub fn watch<D: Daemon>(daemon: &Arc<D>, colours: bool) -> io::Result<()> {
    let (sender, samples) = sync_channel(1);
    let asked = daemon.clone();
    // Ends when nobody wants its samples any more, or with the process if the daemon does not answer.
    thread::Builder::new().name("samples".to_owned()).spawn(move || ask(&*asked, &sender))?;
    let mut terminal = ratatui::try_init()?;
    let result = show(&mut terminal, &**daemon, &samples, colours);
    ratatui::try_restore()?;
    result
}

/// When the daemon was asked, and what it said.
type News<D> = (Instant, Result<Sample, <D as Daemon>::Error>);

fn ask<D: Daemon>(daemon: &D, samples: &SyncSender<News<D>>) {
    loop {
        let begun = Instant::now();
        if samples.send((begun, daemon.look())).is_err() {
            return;
        }
        thread::sleep(PERIOD.saturating_sub(begun.elapsed()));
    }
}

fn show<D: Daemon>(
    terminal: &mut ratatui::DefaultTerminal,
    daemon: &D,
    samples: &Receiver<News<D>>,
    colours: bool,
) -> io::Result<()> {
    let mut model = Model::default();
    loop {
        terminal.draw(|frame| draw(frame, &model, colours))?;
        if event::poll(TICK)?
            && let Event::Key(pressed) = event::read()?
            && let Some(key) = key_of(pressed)
        {
            match model.press(key) {
                Then::Draw => {}
                Then::Do(order) => {
                    let (Ok(told) | Err(told)) = daemon.carry_out(&order);
                    model.note(told);
                }
                Then::Quit => return Ok(()),
            }
        }
        for (at, sample) in samples.try_iter() {
            match sample {
                Ok(sample) => model.take(at, sample),
                Err(trouble) => model.note(trouble.to_string()),
            }
        }
    }
}

/// The key that was pressed, if it means anything; Ctrl-C is the same as Escape.
fn key_of(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return (event.code == KeyCode::Char('c')).then_some(Key::Escape);
    }
    let named = [
        (KeyCode::Up, Key::Up),
        (KeyCode::Down, Key::Down),
        (KeyCode::Enter, Key::Enter),
        (KeyCode::Esc, Key::Escape),
        (KeyCode::Backspace, Key::Backspace),
    ];
    let named = named.into_iter().find_map(|(code, key)| (code == event.code).then_some(key));
    named.or_else(|| event.code.as_char().map(Key::Char))
}
