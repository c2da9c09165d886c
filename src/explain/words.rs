//! A MISCOMPARE as people read it, with the bytes that prove it.

use std::fmt;

use pulsefield_vmfs::Object;

use crate::account::Miscompare;

/// Bytes that are shown of what is nothing of VMFS's.
const BYTES_SHOWN: usize = 16;

impl fmt::Display for Miscompare<'_> {
    /// The finding; what was expected, found and wanted; and what had changed: a line or more for each, without
    /// the command, and without advice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "finding:  {}", self.finding.kind())?;
        write!(f, "          {}", self.finding)?;
        for (what, image) in
            [("expected:", self.expected()), ("found:", self.found()), ("wanted:", self.wanted())]
        {
            if let Some(image) = image {
                write!(f, "\n{what:9} {}", ImageText(image))?;
            }
        }
        let Some(difference) = self.difference() else { return Ok(()) };
        write!(f, "\nchange:   {}", difference.change)?;
        if let Some(byte) = difference.first_byte {
            write!(f, "; differs from byte {byte} of block {} on", self.lba())?;
        }
        difference.fields.iter().try_for_each(|field| write!(f, "\n          {field}"))
    }
}

/// What a block is, in a few words.
struct ImageText<'i>(&'i [u8]);

impl fmt::Display for ImageText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Object::decode(self.0) {
            Some(object) => object.fmt(f),
            None if self.0.iter().all(|byte| *byte == 0) => f.write_str("zeros"),
            None => {
                f.write_str("bytes that are nothing of VMFS's:")?;
                let shown = self.0.iter().take(BYTES_SHOWN);
                shown.clone().try_for_each(|byte| write!(f, " {byte:02x}"))?;
                f.write_str(if self.0.len() > BYTES_SHOWN { " …" } else { "" })
            }
        }
    }
}
