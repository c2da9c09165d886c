//! The screen: what a model says, in lines.
//!
//! Whatever a colour says, a word says too: `NO_COLOR`, and terminals that have none, lose nothing.

use std::time::Duration;

use pulsefield_control::protocol::{ArmedRule, CommandLatency, HostPulse, SlowCommand};
use pulsefield_units::Micros;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::model::{Mode, Order, Pane, Row, Standing};
use crate::text::{cell, clock, rate, sparkline};
use crate::{Miscompare, Model};

/// The most units that are shown at once; others scroll by.
const UNITS_MAX: usize = 6;

/// Seconds of silence that one character of a host's bar stands for; eight of them are the 16 seconds after
/// which others may take its locks.
const SECONDS_A_CHARACTER: u64 = 2;
const BAR_WIDTH: u64 = 8;

/// Bars in the line of heartbeats.
const SPARKLINE_WIDTH: usize = 30;

/// Draws what `model` says; with colours where they help, if `colours` says so.
pub fn draw(frame: &mut Frame<'_>, model: &Model, colours: bool) {
    let paint = Paint(colours);
    let rows = model.rows();
    let units = u16::try_from(rows.len().clamp(1, UNITS_MAX)).unwrap_or(u16::MAX);
    let parts = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1 + units),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ]);
    let [title, luns, heartbeats, hosts, pane, foot] = parts.areas(frame.area());
    frame.render_widget(title_line(model, paint), title);
    frame.render_widget(Paragraph::new(unit_lines(&rows, paint)), luns);
    frame.render_widget(heartbeat_line(model), heartbeats);
    frame.render_widget(Paragraph::new(host_lines(model, paint)), hosts);
    frame.render_widget(Paragraph::new(pane_lines(model, paint)), pane);
    frame.render_widget(foot_line(model), foot);
}

/// Colours, or none.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn colour(self, colour: Color) -> Style {
        if self.0 { Style::new().fg(colour) } else { Style::new() }
    }
}

const HEADER: Style = Style::new().add_modifier(Modifier::BOLD);

fn title_line(model: &Model, paint: Paint) -> Line<'static> {
    let Some(sample) = model.sample() else {
        return Line::from("pulsefield: asking the daemon …");
    };
    let status = &sample.status;
    let up = clock(Duration::from_millis(status.uptime_ms));
    let mut spans = vec![Span::from(format!(
        "pulsefield {}  up {up}  serving {}/{}  late {}",
        status.daemon_version,
        status.luns_serving,
        status.luns_total,
        status.late + status.too_late
    ))];
    if status.faults_armed > 0 {
        let style = paint.colour(Color::Red).add_modifier(Modifier::BOLD);
        spans.push(Span::styled(format!("  FAULTS ARMED: {}", status.faults_armed), style));
    }
    Line::from(spans)
}

fn unit_lines(rows: &[Row], paint: Paint) -> Vec<Line<'static>> {
    let header =
        ["LUN", "STATE", "CMD/s", "CAW/s", "HB P99", "BULK P99", "MISC", "LATE", "FULL", "FLT"];
    let mut lines =
        vec![Line::styled(format!("  {}", unit_cells(header.map(str::to_owned))), HEADER)];
    if rows.is_empty() {
        lines.push(Line::from("  no logical unit"));
    }
    let selected = rows.iter().position(|row| row.selected).unwrap_or_default();
    let first = (selected + 1).saturating_sub(UNITS_MAX);
    lines.extend(rows.iter().skip(first).take(UNITS_MAX).map(|row| {
        let time = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), |us| Micros(us).to_string());
        let cells = unit_cells([
            row.name.clone(),
            row.state.to_owned(),
            rate(row.commands),
            rate(row.compare_and_writes),
            time(row.heartbeat_p99_us),
            time(row.bulk_p99_us),
            row.miscompares.to_string(),
            row.late.to_string(),
            format!("{}%", row.full_percent),
            if row.faults > 0 { row.faults.to_string() } else { "-".to_owned() },
        ]);
        let mut style = match (row.state, row.faults) {
            ("serving", 0) => Style::new(),
            _ => paint.colour(Color::Red),
        };
        if row.selected {
            style = style.add_modifier(Modifier::REVERSED);
        }
        let mark = if row.selected { '>' } else { ' ' };
        Line::styled(format!("{mark} {cells}"), style)
    }));
    lines
}

/// 78 columns.
fn unit_cells(cells: [String; 10]) -> String {
    const WIDTHS: [usize; 10] = [14, 8, 7, 6, 8, 8, 5, 5, 5, 3];
    let aligned = cells.iter().zip(WIDTHS).enumerate();
    let cells: Vec<_> = aligned.map(|(nth, (text, width))| cell(text, width, nth > 1)).collect();
    cells.join(" ")
}

fn heartbeat_line(model: &Model) -> Line<'static> {
    let Some(lun) = model.selected() else { return Line::default() };
    let mean = model.history().next_back().unwrap_or_default();
    let bars = sparkline(model.history(), SPARKLINE_WIDTH);
    let mut text = format!("HEARTBEAT LANE of {lun}: mean {} {bars}", Micros(mean));
    if let Some(since) = model.since_miscompare() {
        text += &format!("  miscompared {} ago", clock(since));
    }
    Line::styled(text, HEADER)
}

fn host_lines(model: &Model, paint: Paint) -> Vec<Line<'static>> {
    let cells = |cells: [&str; 6]| {
        const WIDTHS: [usize; 6] = [35, 15, 4, 6, 8, 7];
        let aligned = cells.iter().zip(WIDTHS).enumerate();
        let cells: Vec<_> =
            aligned.map(|(nth, (text, width))| cell(text, width, matches!(nth, 2 | 3))).collect();
        cells.join(" ")
    };
    let header = cells(["HOST", "ADDRESS", "SLOT", "PULSE", "0 8 16 s", ""]);
    let mut lines = vec![Line::styled(header, HEADER)];
    let hosts = model.hosts();
    if hosts.is_empty() {
        lines.push(Line::from("no host was seen to pulse"));
    }
    lines.extend(hosts.into_iter().map(|host| {
        let HostPulse { host: uuid, slot, address, age_ms, .. } = host;
        let standing = Standing::of(host);
        let age = format!("{:.1} s", Duration::from_millis(*age_ms).as_secs_f64());
        let address = address.as_deref().unwrap_or("-");
        let style = match standing {
            Standing::Alive => paint.colour(Color::Green),
            Standing::Overdue => paint.colour(Color::Yellow),
            Standing::Late | Standing::Lost => paint.colour(Color::Red),
        };
        let slot = slot.to_string();
        Line::styled(cells([uuid, address, &slot, &age, &bar(*age_ms), standing.name()]), style)
    }));
    lines
}

/// How much of 16 seconds an age is.
fn bar(age_ms: u64) -> String {
    let filled = age_ms.div_ceil(SECONDS_A_CHARACTER * 1000).min(BAR_WIDTH);
    (0..BAR_WIDTH).map(|at| if at < filled { '█' } else { '░' }).collect()
}

fn pane_lines(model: &Model, paint: Paint) -> Vec<Line<'static>> {
    let (Some(lun), Some(sample)) = (model.selected(), model.sample()) else { return Vec::new() };
    let latency = sample.latency_of(lun);
    match model.pane() {
        Pane::Commands => {
            let commands = latency.map_or(&[][..], |latency| &latency.commands);
            command_lines(commands)
        }
        Pane::Slowest => slowest_lines(latency.map_or(&[][..], |latency| &latency.slowest)),
        Pane::Faults => {
            let of_lun = sample.faults.iter().filter(|faults| faults.lun == lun);
            fault_lines(of_lun.flat_map(|lun| &lun.plans).flat_map(|plan| &plan.rules), paint)
        }
        Pane::Miscompares => {
            let of_lun = sample.miscompares.iter().filter(|miscompare| miscompare.lun == lun);
            miscompare_lines(of_lun, sample.unread_records.get(lun))
        }
    }
}

fn command_lines(commands: &[CommandLatency]) -> Vec<Line<'static>> {
    let cells = |cells: [&str; 7]| {
        const WIDTHS: [usize; 7] = [9, 22, 11, 8, 8, 8, 8];
        let aligned = cells.iter().zip(WIDTHS).enumerate();
        let cells: Vec<_> =
            aligned.map(|(nth, (text, width))| cell(text, width, nth > 1)).collect();
        cells.join(" ")
    };
    let header = cells(["LANE", "COMMAND", "COUNT", "P50", "P99", "P99.9", "MAX"]);
    let mut lines = vec![Line::styled(header, HEADER)];
    lines.extend(commands.iter().map(|command| {
        let CommandLatency { lane, command, count, total, .. } = command;
        let lane = lane.as_deref().unwrap_or("-");
        let times = [total.p50_us, total.p99_us, total.p999_us, total.max_us];
        let times = times.map(|us| Micros(us).to_string());
        let [p50, p99, p999, max] = &times;
        Line::from(cells([lane, command, &count.to_string(), p50, p99, p999, max]))
    }));
    lines
}

fn slowest_lines(slowest: &[SlowCommand]) -> Vec<Line<'static>> {
    let cells = |cells: [&str; 5]| {
        const WIDTHS: [usize; 5] = [8, 9, 22, 20, 17];
        let aligned = cells.iter().zip(WIDTHS).enumerate();
        let cells: Vec<_> =
            aligned.map(|(nth, (text, width))| cell(text, width, nth == 0)).collect();
        cells.join(" ")
    };
    let header = cells(["TOOK", "LANE", "COMMAND", "BLOCKS", "MOSTLY"]);
    let mut lines = vec![Line::styled(header, HEADER)];
    lines.extend(slowest.iter().map(|slow| {
        let blocks = slow.lba.zip(slow.blocks).map(|(lba, blocks)| format!("{lba}+{blocks}"));
        let (lane, blocks) =
            (slow.lane.as_deref().unwrap_or("-"), blocks.as_deref().unwrap_or("-"));
        let took = Micros(slow.took_us).to_string();
        Line::from(cells([&took, lane, &slow.command, blocks, &slow.reason]))
    }));
    lines
}

fn fault_lines<'r>(rules: impl Iterator<Item = &'r ArmedRule>, paint: Paint) -> Vec<Line<'static>> {
    let header = format!("{} WHAT IT DOES", cell("HITS", 8, true));
    let mut lines = vec![Line::styled(header, HEADER)];
    lines.extend(rules.map(|rule| {
        let hits = cell(&rule.hits.to_string(), 8, true);
        Line::styled(format!("{hits} {}", rule.meaning), paint.colour(Color::Red))
    }));
    if lines.len() == 1 {
        lines.push(Line::from("none are armed"));
    }
    lines
}

fn miscompare_lines<'m>(
    miscompares: impl Iterator<Item = &'m Miscompare>,
    trouble: Option<&String>,
) -> Vec<Line<'static>> {
    let cells = |cells: [&str; 4]| {
        const WIDTHS: [usize; 4] = [8, 29, 31, 9];
        let cells: Vec<_> =
            cells.iter().zip(WIDTHS).map(|(text, width)| cell(text, width, false)).collect();
        cells.join(" ")
    };
    let mut lines = vec![Line::styled(cells(["UTC", "FINDING", "OBJECT", "HOST"]), HEADER)];
    lines.extend(miscompares.map(|miscompare| {
        let Miscompare { time, object, host, finding, .. } = miscompare;
        // Of 2023-11-14T22:13:35.101000Z what changes within a day.
        let time = time.as_ref().and_then(|time| time.get(11..19)).unwrap_or("-");
        let (object, host) = (object.as_deref().unwrap_or("-"), host.as_deref().unwrap_or("-"));
        Line::from(cells([time, finding, object, host]))
    }));
    match (trouble, lines.len()) {
        (Some(trouble), _) => lines.push(Line::from(format!("no record: {trouble}"))),
        (None, 1) => lines.push(Line::from("none are recorded")),
        (None, _) => {}
    }
    lines
}

fn foot_line(model: &Model) -> Line<'static> {
    const KEYS: &str =
        "↑↓ unit  c commands  s slowest  m miscompares  f faults  a arm  d disarm  q quit";
    match (model.mode(), model.notice()) {
        (Mode::Typing { lun, text }, _) => {
            Line::from(format!("arm for {lun}, FAULT [KEY=VALUE …]: {text}_"))
        }
        (Mode::Asking(Order::Arm { lun, fault }), _) => {
            Line::from(format!("Break {lun} on purpose with {fault}? Its data may be lost. y/N"))
        }
        (Mode::Asking(Order::Disarm { lun }), _) => {
            Line::from(format!("Disarm all faults of {lun}? y/N"))
        }
        (Mode::Watching, Some(notice)) => Line::from(notice.to_owned()),
        (Mode::Watching, None) => Line::from(KEYS),
    }
}

#[cfg(test)]
mod tests;
