//! pcapng, as draft-ietf-opsawg-pcapng has it: one section, one interface, a block for each frame.

use std::io::{self, Write};

use zerocopy::IntoBytes;

use crate::Exchange;
use crate::fc::Frame;

/// LINKTYPE_FC_2: Fibre Channel FC-2 frames, from the header on, without delimiters and CRC
/// (tcpdump's list of link-layer header types).
const LINKTYPE_FC_2: u16 = 224;

/// So many bytes of a comment are written; what is longer is cut.
const COMMENT_MAX: usize = 4096;

/// if_tsresol: times are in units of 10⁻⁹ s.
const NANOSECONDS: u8 = 9;

/// Types of blocks (clause 4).
mod block {
    pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
    pub(super) const ENHANCED_PACKET: u32 = 6;
}

/// Codes of options (clauses 3.5 and 4.1 to 4.3); those of one number belong to different blocks.
mod option {
    pub(super) const END: u16 = 0;
    pub(super) const COMMENT: u16 = 1;
    pub(super) const INTERFACE_NAME: u16 = 2;
    pub(super) const FRAME_FLAGS: u16 = 2;
    pub(super) const APPLICATION: u16 = 4;
    pub(super) const TIME_RESOLUTION: u16 = 9;
}

/// epb_flags: the frame came in, or went out.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// Writes exchanges as frames. What it has written is a whole file at any time between two calls.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Begins a file. `comment` stands in its header, before the note on what the frames are.
    ///
    /// # Errors
    /// What `out` reports.
    pub fn begin(mut out: W, comment: &str) -> io::Result<Self> {
        let mut header = Block::new(block::SECTION_HEADER);
        // Byte order, version 1.0, and a section of unknown length: it goes on to the end of the
        // file.
        header.bytes(&0x1a2b_3c4d_u32.to_le_bytes());
        header.bytes(&[1, 0, 0, 0]);
        header.bytes(&u64::MAX.to_le_bytes());
        header.comment(&format!(
            "{comment}\nFrames made up around what was seen of each command on LIO's ring. Ports and exchange \
             ids are made up, too. Times are those of the command, for what the initiator sent, and of the \
             answer."
        ));
        header.option(
            option::APPLICATION,
            concat!("Pulsefield ", env!("CARGO_PKG_VERSION")).as_bytes(),
        );
        header.write(&mut out)?;

        let mut interface = Block::new(block::INTERFACE_DESCRIPTION);
        interface.bytes(&LINKTYPE_FC_2.to_le_bytes());
        // Reserved, and frames of any length.
        interface.bytes(&[0; 6]);
        interface.option(option::INTERFACE_NAME, b"pulsefield");
        interface.option(option::TIME_RESOLUTION, &[NANOSECONDS]);
        interface.write(&mut out)?;
        Ok(Self { out })
    }

    /// Writes all frames of `exchanges`, in order of time.
    ///
    /// # Errors
    /// What the output reports.
    pub fn write(&mut self, exchanges: &[Exchange<'_>]) -> io::Result<()> {
        let mut frames: Vec<_> = exchanges.iter().flat_map(Exchange::frames).collect();
        // Stable: the frames of one moment stay in the order of their exchange.
        frames.sort_by_key(|frame| frame.at_ns);
        frames.iter().try_for_each(|frame| self.frame(frame))
    }

    /// Sees to it that what has been written can be read.
    ///
    /// # Errors
    /// What the output reports.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn frame(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let header = frame.header_bytes();
        let header = header.as_bytes();
        let is_whole = frame.payload.len() == frame.payload_length;
        let fill = if is_whole { frame.fill_length() } else { 0 };
        let captured = header.len() + frame.payload.len() + fill;
        let sent = header.len() + frame.payload_length + frame.fill_length();
        let mut block = Block::new(block::ENHANCED_PACKET);
        // The first interface.
        block.word(0);
        // The higher half of the time stands before the lower one, whatever the byte order.
        let time = frame.at_ns.to_le_bytes();
        let (low, high) = time.split_at(4);
        block.bytes(high);
        block.bytes(low);
        block.length(captured)?;
        block.length(sent)?;
        block.bytes(header);
        block.bytes(&frame.payload);
        block.bytes(&[0; 3][..fill]);
        block.pad();
        block.comment(frame.comment);
        let direction = if frame.is_from_originator() { INBOUND } else { OUTBOUND };
        block.option(option::FRAME_FLAGS, &direction.to_le_bytes());
        block.write(&mut self.out)
    }
}

/// A block in the making: its type, room for its length, and its body so far.
struct Block {
    bytes: Vec<u8>,
}

impl Block {
    fn new(kind: u32) -> Self {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[0; 4]);
        Self { bytes }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_le_bytes());
    }

    fn length(&mut self, length: usize) -> io::Result<()> {
        self.word(u32::try_from(length).map_err(io::Error::other)?);
        Ok(())
    }

    /// Fills up to a word.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// An option of at most 65,535 bytes.
    fn option(&mut self, code: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.bytes(&code.to_le_bytes());
        self.bytes(&length.to_le_bytes());
        self.bytes(&value[..usize::from(length)]);
        self.pad();
    }

    /// A comment, if there is anything to say.
    fn comment(&mut self, comment: &str) {
        let comment = &comment[..comment.floor_char_boundary(COMMENT_MAX)];
        if !comment.is_empty() {
            self.option(option::COMMENT, comment.as_bytes());
        }
    }

    /// Ends the options, and writes the block with its length at both ends.
    fn write(mut self, out: &mut impl Write) -> io::Result<()> {
        self.option(option::END, &[]);
        let length = u32::try_from(self.bytes.len() + 4).map_err(io::Error::other)?;
        self.word(length);
        self.bytes[4..8].copy_from_slice(&length.to_le_bytes());
        out.write_all(&self.bytes)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tshark;
