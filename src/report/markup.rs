//! Text within HTML, SVG and XML.

use std::fmt::{self, Write as _};

/// Text as it may stand in an element or between the quotes of an attribute, of HTML and of XML: whatever it
/// is, it stays text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'t>(pub(crate) &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(character)?,
                // XML 1.0, production 2: no document may have these, not even as references.
                '\0'..' ' | '\u{fffe}' | '\u{ffff}' => f.write_char(char::REPLACEMENT_CHARACTER)?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Sentences in which commands and names stand between backquotes, as HTML.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prose<'t>(pub(crate) &'t str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, part) in self.0.split('`').enumerate() {
            match nth % 2 {
                0 => write!(f, "{}", Escaped(part))?,
                _ => write!(f, "<code>{}</code>", Escaped(part))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_is_text() {
        let text = "</td><script>alert('1' && \"2\")</script>\u{1b}[31m\n";
        let escaped = "&lt;/td&gt;&lt;script&gt;alert(&#39;1&#39; &amp;&amp; &quot;2&quot;)\
                       &lt;/script&gt;\u{fffd}[31m\n";
        assert_eq!(Escaped(text).to_string(), escaped);
    }

    #[test]
    fn what_stands_between_backquotes_is_code() {
        assert_eq!(Prose("run `a < b`, then").to_string(), "run <code>a &lt; b</code>, then");
        assert_eq!(Prose("one ` alone").to_string(), "one <code> alone</code>");
    }
}
