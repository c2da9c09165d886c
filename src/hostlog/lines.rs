//! Bytes into lines: plain or gzip, LF or CRLF, of a bounded length, whatever the bytes are.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// So much of a line is looked at and kept, in bytes; the rest is passed over. The kernel cuts its
/// lines at a few hundred; hostd's have some thousand.
pub const LINE_MAX_BYTES: usize = 16 * 1024;

/// What a gzip file begins with (RFC 1952 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The lines of a file, without their ends.
pub(crate) struct RawLines<'r> {
    source: Box<dyn BufRead + 'r>,
    /// An error that came after the beginning of a line: told when that line has been.
    failed: Option<io::Error>,
    ended: bool,
}

/// A line as it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawLine {
    /// At most [`LINE_MAX_BYTES`] of it.
    pub(crate) bytes: Vec<u8>,
    /// Whether it has more.
    pub(crate) is_cut: bool,
}

impl<'r> RawLines<'r> {
    /// Of `source`, which may be compressed.
    ///
    /// # Errors
    /// When not even its first bytes can be read.
    pub(crate) fn of(mut source: impl Read + 'r) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
        source.by_ref().take(2).read_to_end(&mut magic)?;
        let is_gzip = magic == GZIP_MAGIC;
        let source = BufReader::new(Cursor::new(magic).chain(source));
        let source: Box<dyn BufRead + 'r> = if is_gzip {
            // Rotated logs may be several members in one file.
            Box::new(BufReader::new(MultiGzDecoder::new(source)))
        } else {
            Box::new(source)
        };
        Ok(Self { source, failed: None, ended: false })
    }

    fn read(&mut self) -> io::Result<Option<RawLine>> {
        let mut line = RawLine { bytes: Vec::new(), is_cut: false };
        let mut is_empty = true;
        loop {
            let buffer = match self.source.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_empty => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            };
            if buffer.is_empty() {
                if is_empty {
                    return Ok(None);
                }
                break;
            }
            is_empty = false;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
            line.append(part);
            let used = part.len() + usize::from(end.is_some());
            self.source.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !line.is_cut && line.bytes.last() == Some(&b'\r') {
            line.bytes.pop();
        }
        Ok(Some(line))
    }
}

impl RawLine {
    fn append(&mut self, part: &[u8]) {
        let kept = part.len().min(LINE_MAX_BYTES - self.bytes.len());
        self.bytes.extend_from_slice(&part[..kept]);
        self.is_cut |= kept < part.len();
    }
}

/// Ends after the first error.
impl Iterator for RawLines<'_> {
    type Item = io::Result<RawLine>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = match self.failed.take() {
            Some(error) => Err(error),
            None => self.read(),
        };
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(String, bool)> {
        let lines = RawLines::of(bytes).unwrap().map(Result::unwrap);
        lines.map(|line| (String::from_utf8(line.bytes).unwrap(), line.is_cut)).collect()
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_end_with_lf_or_crlf_or_the_file() {
        let expected = ["one", "", "two", "three"].map(|line| (line.to_owned(), false));
        assert_eq!(lines(b"one\n\r\ntwo\r\nthree"), expected);
        assert_eq!(lines(b"one\n\ntwo\nthree\n"), expected);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n"), [(String::new(), false)]);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let long = "x".repeat(LINE_MAX_BYTES + 1);
        let kept = long[1..].to_owned();
        let text = format!("{kept}\n{long}\nnext\n");
        assert_eq!(
            lines(text.as_bytes()),
            [(kept.clone(), false), (kept, true), ("next".to_owned(), false)]
        );
    }

    #[test]
    fn gzip_with_several_members_is_one_file() {
        let mut file = gzip(b"one\ntw");
        file.extend(gzip(b"o\nthree\n"));
        assert_eq!(lines(&file), ["one", "two", "three"].map(|line| (line.to_owned(), false)));
    }

    #[test]
    fn of_a_gzip_file_that_ends_early_the_lines_come_before_the_error() {
        let file = gzip(b"one\ntwo\n");
        let mut lines = RawLines::of(&file[..file.len() - 9]).unwrap();
        let mut before = 0;
        let error = loop {
            match lines.next() {
                Some(Ok(_)) => before += 1,
                Some(Err(error)) => break error,
                None => panic!("no error after {before} lines"),
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(lines.next().is_none());
    }

    #[test]
    fn a_file_of_two_bytes_may_be_the_magic_alone() {
        assert!(RawLines::of(&GZIP_MAGIC[..]).unwrap().next().unwrap().is_err());
        assert_eq!(RawLines::of(&[0x1f][..]).unwrap().count(), 1);
    }
}
