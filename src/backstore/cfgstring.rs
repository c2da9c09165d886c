//! The string by which a user names a medium: `<handler>/<locator>[;option=value…]`.
//!
//! What carries it narrows it: the kernel splits its `control` file on `,` and newline and keeps 255
//! bytes of `dev_config`; rtslib refuses `:`. A string that would be cut or torn on the way is
//! refused here, with the reason.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

/// The TCMU subtype of every logical unit of ours: what comes before the first `/` of `dev_config`.
pub const SUBTYPE: &str = "pulsefield";

/// The longest `dev_config` in bytes: `TCMU_CONFIG_LEN` is 256, with its terminating zero
/// (`drivers/target/target_core_user.c`).
const DEV_CONFIG_MAX: usize = 255;

/// The longest cfgstring in bytes: what `dev_config` has left beside `pulsefield/`.
pub const CFGSTRING_MAX: usize = DEV_CONFIG_MAX - SUBTYPE.len() - 1;

/// How many slips make a word too different to be suggested.
const SLIPS_MAX: usize = 3;

/// A cfgstring taken apart. Its form is right; whether the handler exists and knows the options is
/// the [`Registry`](crate::Registry)'s question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cfgstring {
    handler: String,
    locator: String,
    options: Vec<(String, String)>,
}

/// A cfgstring that says something impossible. Columns count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The string that LIO holds is not for us.
    #[error("`{text}` does not begin with `{SUBTYPE}/`")]
    Subtype {
        /// The string.
        text: String,
    },
    /// The kernel would cut the string short.
    #[error("the cfgstring is {bytes} bytes long; the kernel has room for {CFGSTRING_MAX}")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A character that does not survive the way from targetcli to the kernel.
    #[error("{character:?} in column {column} cannot be part of a cfgstring: {reason}")]
    Forbidden {
        /// The character.
        character: char,
        /// Where it is.
        column: usize,
        /// Who objects.
        reason: &'static str,
    },
    /// There is no `/`.
    #[error("`{text}` has no `/`; the form is <handler>/<locator>[;option=value…]")]
    NoSlash {
        /// The string.
        text: String,
    },
    /// There is nothing before the `/`.
    #[error("there is no handler before the `/` of `{text}`")]
    EmptyHandler {
        /// The string.
        text: String,
    },
    /// No handler has that name.
    #[error("there is no handler `{handler}`{candidates}")]
    UnknownHandler {
        /// The name.
        handler: String,
        /// What could have been meant.
        candidates: Candidates,
    },
    /// The handler needs to be told where its medium is.
    #[error("`{handler}/` must be followed by {wanted}")]
    EmptyLocator {
        /// Which handler.
        handler: String,
        /// What its locator is.
        wanted: &'static str,
    },
    /// The handler has no use for a locator.
    #[error("`{handler}/` is followed by nothing; `{locator}` has no meaning there")]
    UnwantedLocator {
        /// Which handler.
        handler: String,
        /// What follows.
        locator: String,
    },
    /// The path does not start at the root.
    #[error("`{locator}` is not an absolute path; write {handler}//{locator}")]
    RelativePath {
        /// Which handler.
        handler: String,
        /// The path.
        locator: String,
    },
    /// Two `;` in a row, a `;` at the end, or a `=` with nothing before it.
    #[error("an option without a name in column {column}")]
    EmptyOption {
        /// Where it should have been.
        column: usize,
    },
    /// An option without `=`, or with nothing behind it.
    #[error("option `{option}` in column {column} has no value; write {option}=…")]
    MissingValue {
        /// Which option.
        option: String,
        /// Where it is.
        column: usize,
    },
    /// The option is there already.
    #[error("option `{option}` is given a second time in column {column}")]
    DuplicateOption {
        /// Which option.
        option: String,
        /// Where it is.
        column: usize,
    },
    /// The handler does not know the option.
    #[error("`{handler}` has no option `{option}`{candidates}")]
    UnknownOption {
        /// Which handler.
        handler: String,
        /// The option.
        option: String,
        /// What could have been meant.
        candidates: Candidates,
    },
    /// The option is none of a few words.
    #[error("`{value}` is no value of option `{option}`{candidates}")]
    UnknownValue {
        /// Which option.
        option: String,
        /// Its value.
        value: String,
        /// What could have been meant.
        candidates: Candidates,
    },
    /// The option is not a number, or is out of its range.
    #[error("option `{option}` is a number from {} to {}, not `{value}`", range.start(), range.end())]
    NotInRange {
        /// Which option.
        option: String,
        /// Its value.
        value: String,
        /// What it may be.
        range: RangeInclusive<usize>,
    },
}

/// What a user may have meant by a word that nobody knows; displays as the tail of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    nearest: Option<String>,
    known: Vec<String>,
}

impl Candidates {
    /// The words of `known`, and the one of them that is nearest to `word`, if one is near.
    pub fn new<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
        let nearest = known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(word, known), known))
            // A word that would have to be half rewritten was not mistyped.
            .filter(|(slips, known)| *slips <= SLIPS_MAX && slips * 2 <= known.len())
            .min_by_key(|(slips, _)| *slips)
            .map(|(_, known)| known.clone());
        Self { nearest, known }
    }
}

impl fmt::Display for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        write!(f, " (known: {known})")
    }
}

/// The cfgstring inside LIO's `dev_config`: what follows `pulsefield/`. The trailing newline that
/// configfs keeps when it was written with `echo` does not count.
///
/// # Errors
/// [`ConfigError::Subtype`] for the device of another program.
pub fn strip_subtype(dev_config: &str) -> Result<&str, ConfigError> {
    let line = dev_config.strip_suffix('\n').unwrap_or(dev_config);
    line.strip_prefix(SUBTYPE)
        .and_then(|rest| rest.strip_prefix('/'))
        .ok_or_else(|| ConfigError::Subtype { text: line.to_owned() })
}

impl FromStr for Cfgstring {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if text.len() > CFGSTRING_MAX {
            return Err(ConfigError::TooLong { bytes: text.len() });
        }
        forbid_characters(text)?;
        let Some((handler, rest)) = text.split_once('/') else {
            return Err(ConfigError::NoSlash { text: text.to_owned() });
        };
        if handler.is_empty() {
            return Err(ConfigError::EmptyHandler { text: text.to_owned() });
        }
        let mut parts = rest.split(';');
        let locator = parts.next().unwrap_or_default();
        let mut column = (handler.chars().count() + 1) + (locator.chars().count() + 1) + 1;
        let mut options: Vec<(String, String)> = Vec::new();
        for part in parts {
            let (option, value) = part.split_once('=').unwrap_or((part, ""));
            if option.is_empty() {
                return Err(ConfigError::EmptyOption { column });
            }
            if value.is_empty() {
                return Err(ConfigError::MissingValue { option: option.to_owned(), column });
            }
            if options.iter().any(|(earlier, _)| earlier == option) {
                return Err(ConfigError::DuplicateOption { option: option.to_owned(), column });
            }
            options.push((option.to_owned(), value.to_owned()));
            column += part.chars().count() + 1;
        }
        Ok(Self { handler: handler.to_owned(), locator: locator.to_owned(), options })
    }
}

fn forbid_characters(text: &str) -> Result<(), ConfigError> {
    for (nth, character) in text.chars().enumerate() {
        let reason = match character {
            ':' => "rtslib refuses it",
            ',' => "the kernel ends the string there",
            control if control.is_control() => "it is a control character",
            _ => continue,
        };
        return Err(ConfigError::Forbidden { character, column: nth + 1, reason });
    }
    Ok(())
}

impl fmt::Display for Cfgstring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.handler, self.locator)?;
        self.options.iter().try_for_each(|(option, value)| write!(f, ";{option}={value}"))
    }
}

impl Cfgstring {
    /// What stands before the first `/`.
    pub fn handler(&self) -> &str {
        &self.handler
    }

    /// What stands between the first `/` and the first `;`; may be empty.
    pub fn locator(&self) -> &str {
        &self.locator
    }

    /// The locator of a handler that serves files or devices.
    ///
    /// # Errors
    /// [`ConfigError::EmptyLocator`], or [`ConfigError::RelativePath`]: a daemon's working directory
    /// is nobody's business.
    pub fn absolute_path(&self) -> Result<&str, ConfigError> {
        if self.locator.is_empty() {
            return Err(ConfigError::EmptyLocator {
                handler: self.handler.clone(),
                wanted: "an absolute path",
            });
        }
        if !self.locator.starts_with('/') {
            return Err(ConfigError::RelativePath {
                handler: self.handler.clone(),
                locator: self.locator.clone(),
            });
        }
        Ok(&self.locator)
    }

    /// Makes sure that there is no locator, for a handler that has nothing to locate.
    ///
    /// # Errors
    /// [`ConfigError::UnwantedLocator`].
    pub fn require_no_locator(&self) -> Result<(), ConfigError> {
        if self.locator.is_empty() {
            return Ok(());
        }
        Err(ConfigError::UnwantedLocator {
            handler: self.handler.clone(),
            locator: self.locator.clone(),
        })
    }

    /// Makes sure that every option is one of `known`.
    ///
    /// # Errors
    /// [`ConfigError::UnknownOption`] for the first that is not.
    pub fn require_known_options(&self, known: &[&str]) -> Result<(), ConfigError> {
        match self.options.iter().find(|(option, _)| !known.contains(&option.as_str())) {
            None => Ok(()),
            Some((option, _)) => Err(ConfigError::UnknownOption {
                handler: self.handler.clone(),
                option: option.clone(),
                candidates: Candidates::new(option, known.iter().copied()),
            }),
        }
    }

    fn value(&self, option: &str) -> Option<&str> {
        self.options.iter().find(|(name, _)| name == option).map(|(_, value)| value.as_str())
    }

    /// The value of an option that is one of a few words, if the option is there.
    ///
    /// # Errors
    /// [`ConfigError::UnknownValue`].
    pub fn choice<T: Copy>(
        &self,
        option: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.value(option) else {
            return Ok(None);
        };
        match choices.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => Err(ConfigError::UnknownValue {
                option: option.to_owned(),
                value: value.to_owned(),
                candidates: Candidates::new(value, choices.iter().map(|(word, _)| *word)),
            }),
        }
    }

    /// The value of an option that is on or off, if the option is there.
    ///
    /// # Errors
    /// [`ConfigError::UnknownValue`].
    pub fn flag(&self, option: &str) -> Result<Option<bool>, ConfigError> {
        const WORDS: [(&str, bool); 8] = [
            ("yes", true),
            ("no", false),
            ("on", true),
            ("off", false),
            ("true", true),
            ("false", false),
            ("1", true),
            ("0", false),
        ];
        self.choice(option, &WORDS)
    }

    /// The value of an option that counts something, if the option is there.
    ///
    /// # Errors
    /// [`ConfigError::NotInRange`].
    pub fn number(
        &self,
        option: &str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, ConfigError> {
        let Some(value) = self.value(option) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => Err(ConfigError::NotInRange {
                option: option.to_owned(),
                value: value.to_owned(),
                range,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Cfgstring {
        text.parse().unwrap()
    }

    fn complaint(text: &str) -> String {
        text.parse::<Cfgstring>().unwrap_err().to_string()
    }

    #[test]
    fn a_cfgstring_comes_apart_and_together_again() {
        let config = parse("file//srv/ds1.img;cache=write-through;workers=8");
        assert_eq!((config.handler(), config.locator()), ("file", "/srv/ds1.img"));
        assert_eq!(config.number("workers", 1..=64), Ok(Some(8)));
        assert_eq!(config.to_string(), "file//srv/ds1.img;cache=write-through;workers=8");
        assert_eq!(
            (parse("ram/").locator(), parse("rbd/pool/image").locator()),
            ("", "pool/image")
        );
    }

    #[test]
    fn the_subtype_is_stripped_only_from_our_own_devices() {
        assert_eq!(strip_subtype("pulsefield/file//srv/ds1.img"), Ok("file//srv/ds1.img"));
        assert_eq!(strip_subtype("pulsefield/ram/\n"), Ok("ram/"), "echo leaves a newline");
        for foreign in ["rbd/pool/image", "pulsefields/ram/", "pulsefield", ""] {
            let error = ConfigError::Subtype { text: foreign.to_owned() };
            assert_eq!(strip_subtype(foreign), Err(error));
        }
    }

    #[test]
    fn what_would_not_reach_the_kernel_whole_is_refused() {
        assert_eq!(
            complaint("file//srv/a:b"),
            "':' in column 12 cannot be part of a cfgstring: rtslib refuses it"
        );
        assert_eq!(
            complaint("file//srv/ü,b"),
            "',' in column 12 cannot be part of a cfgstring: the kernel ends the string there"
        );
        assert_eq!(
            complaint("ram/\n"),
            "'\\n' in column 5 cannot be part of a cfgstring: it is a control character"
        );
        let longest = format!("file/{}", "/".repeat(CFGSTRING_MAX - 5));
        assert_eq!(SUBTYPE.len() + 1 + parse(&longest).to_string().len(), 255);
        assert_eq!(
            complaint(&format!("{longest}x")),
            "the cfgstring is 245 bytes long; the kernel has room for 244"
        );
    }

    #[test]
    fn a_malformed_string_says_what_and_where() {
        assert_eq!(
            complaint("ram"),
            "`ram` has no `/`; the form is <handler>/<locator>[;option=value…]"
        );
        assert_eq!(complaint("/srv/a"), "there is no handler before the `/` of `/srv/a`");
        assert_eq!(complaint("file//a;"), "an option without a name in column 9");
        assert_eq!(complaint("file//a;x=1;;y=2"), "an option without a name in column 13");
        assert_eq!(complaint("file//a;=1"), "an option without a name in column 9");
        assert_eq!(
            complaint("file//a;cache"),
            "option `cache` in column 9 has no value; write cache=…"
        );
        assert_eq!(
            complaint("file//a;x=1;cache="),
            "option `cache` in column 13 has no value; write cache=…"
        );
        assert_eq!(
            complaint("file//a;x=1;y=2;x=1"),
            "option `x` is given a second time in column 17"
        );
    }

    #[test]
    fn locators_are_what_the_handler_needs() {
        assert_eq!(parse("file//srv/a").absolute_path(), Ok("/srv/a"));
        assert_eq!(
            parse("file/").absolute_path().unwrap_err().to_string(),
            "`file/` must be followed by an absolute path"
        );
        assert_eq!(
            parse("file/srv/a").absolute_path().unwrap_err().to_string(),
            "`srv/a` is not an absolute path; write file//srv/a"
        );
        assert_eq!(parse("ram/").require_no_locator(), Ok(()));
        assert_eq!(
            parse("ram/disk").require_no_locator().unwrap_err().to_string(),
            "`ram/` is followed by nothing; `disk` has no meaning there"
        );
    }

    #[test]
    fn options_are_read_with_their_type() {
        let config = parse("x/;a=on;b=0;c=maybe;cache=writeback;workers=65;huge=1e3");
        assert_eq!(config.flag("a"), Ok(Some(true)));
        assert_eq!(config.flag("b"), Ok(Some(false)));
        assert_eq!(config.flag("absent"), Ok(None));
        assert_eq!(
            config.flag("c").unwrap_err().to_string(),
            "`maybe` is no value of option `c` (known: yes, no, on, off, true, false, 1, 0)"
        );
        let caches = [("write-back", 1), ("write-through", 2)];
        assert_eq!(
            config.choice("cache", &caches).unwrap_err().to_string(),
            "`writeback` is no value of option `cache`; did you mean `write-back`? \
             (known: write-back, write-through)"
        );
        assert_eq!(
            config.number("workers", 1..=64).unwrap_err().to_string(),
            "option `workers` is a number from 1 to 64, not `65`"
        );
        assert!(config.number("huge", 0..=usize::MAX).is_err());
    }
}
