//! Reading a line from left to right. Each step either takes what it names, or takes nothing.

/// What is left of a line.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'t> {
    rest: &'t str,
}

impl<'t> Scan<'t> {
    pub(crate) const fn new(text: &'t str) -> Self {
        Self { rest: text }
    }

    /// What has not been taken.
    pub(crate) const fn rest(&self) -> &'t str {
        self.rest
    }

    /// Takes `text`, if it comes next.
    pub(crate) fn literal(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// Takes everything up to and with the next `text`; what came before it.
    pub(crate) fn until(&mut self, text: &str) -> Option<&'t str> {
        let (before, after) = self.rest.split_once(text)?;
        self.rest = after;
        Some(before)
    }

    /// Takes spaces, if there are any.
    pub(crate) fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// Takes everything up to the next space, which stays; nothing if a space comes next.
    pub(crate) fn word(&mut self) -> Option<&'t str> {
        let length = self.rest.find(' ').unwrap_or(self.rest.len());
        self.take(length)
    }

    /// Takes decimal digits.
    pub(crate) fn decimal(&mut self) -> Option<u64> {
        self.number(10)
    }

    /// Takes hexadecimal digits.
    pub(crate) fn hexadecimal(&mut self) -> Option<u64> {
        self.number(16)
    }

    /// Takes `0x` and hexadecimal digits.
    pub(crate) fn prefixed(&mut self) -> Option<u64> {
        let mut ahead = *self;
        ahead.literal("0x")?;
        let number = ahead.hexadecimal()?;
        *self = ahead;
        Some(number)
    }

    /// Takes exactly `count` decimal digits.
    pub(crate) fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.rest.get(..count)?;
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse())?;
        self.take(count)?;
        number.ok()
    }

    fn number(&mut self, radix: u32) -> Option<u64> {
        let length = self.rest.find(|c: char| !c.is_digit(radix)).unwrap_or(self.rest.len());
        let number = u64::from_str_radix(self.rest.get(..length)?, radix).ok()?;
        self.take(length)?;
        Some(number)
    }

    fn take(&mut self, length: usize) -> Option<&'t str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        (length > 0).then_some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_takes_nothing() {
        let mut scan = Scan::new("0xzz rest");
        assert_eq!(scan.prefixed(), None);
        assert_eq!(scan.literal("0y"), None);
        assert_eq!(scan.until("]"), None);
        assert_eq!(scan.digits(2), None);
        assert_eq!(scan.rest(), "0xzz rest");
    }

    #[test]
    fn numbers_end_where_their_digits_do() {
        let mut scan = Scan::new("2652: 0x1aa23 from abcdef02");
        assert_eq!(scan.decimal(), Some(2652));
        assert_eq!(scan.until(": "), Some(""));
        assert_eq!(scan.prefixed(), Some(0x1_aa23));
        assert_eq!(scan.until("from "), Some(" "));
        assert_eq!(scan.hexadecimal(), Some(0xabcd_ef02));
        assert_eq!((scan.decimal(), scan.word(), scan.rest()), (None, None, ""));
    }

    #[test]
    fn a_number_that_is_too_large_is_none() {
        assert_eq!(Scan::new("99999999999999999999").decimal(), None);
    }
}
