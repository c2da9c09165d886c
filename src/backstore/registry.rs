//! Which handlers there are, and which of them a cfgstring means.

use crate::cfgstring::Candidates;
use crate::{Cfgstring, ConfigError, Handler};

/// The handlers of one daemon, by name.
pub struct Registry {
    handlers: Vec<Box<dyn Handler>>,
}

impl Registry {
    /// A registry of `handlers`, in the order in which they are to be listed.
    ///
    /// # Panics
    /// If two of them share a name.
    pub fn new(handlers: Vec<Box<dyn Handler>>) -> Self {
        for (nth, handler) in handlers.iter().enumerate() {
            assert!(
                handlers[..nth].iter().all(|earlier| earlier.name() != handler.name()),
                "two handlers are called {}",
                handler.name(),
            );
        }
        Self { handlers }
    }

    /// Every handler, for help texts.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Handler> {
        self.handlers.iter().map(AsRef::as_ref)
    }

    /// The handler that `cfgstring` (without `pulsefield/`) names, and the cfgstring parsed, with
    /// every option known to be one of that handler's.
    ///
    /// # Errors
    /// What is wrong with the string, and for a misspelt handler or option what was probably meant.
    pub fn resolve(&self, cfgstring: &str) -> Result<(&dyn Handler, Cfgstring), ConfigError> {
        let config: Cfgstring = cfgstring.parse()?;
        let handler =
            self.iter().find(|handler| handler.name() == config.handler()).ok_or_else(|| {
                ConfigError::UnknownHandler {
                    handler: config.handler().to_owned(),
                    candidates: Candidates::new(config.handler(), self.iter().map(Handler::name)),
                }
            })?;
        config.require_known_options(handler.options())?;
        Ok((handler, config))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Backstore, OpenError, OpenSpec};

    struct Named(&'static str, &'static [&'static str]);

    impl Handler for Named {
        fn name(&self) -> &'static str {
            self.0
        }

        fn description(&self) -> &'static str {
            "a handler that opens nothing"
        }

        fn options(&self) -> &'static [&'static str] {
            self.1
        }

        fn check(&self, _config: &Cfgstring) -> Result<(), OpenError> {
            Ok(())
        }

        fn open(&self, spec: &OpenSpec) -> Result<Arc<dyn Backstore>, OpenError> {
            Err(OpenError::ReadOnly { path: spec.name.clone() })
        }
    }

    fn registry() -> Registry {
        Registry::new(vec![
            Box::new(Named("ram", &[])),
            Box::new(Named("file", &["cache", "read-only", "workers"])),
        ])
    }

    fn complaint(cfgstring: &str) -> String {
        registry().resolve(cfgstring).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_cfgstring_finds_its_handler() {
        let registry = registry();
        let (handler, config) = registry.resolve("file//srv/ds1.img;workers=2").unwrap();
        assert_eq!((handler.name(), config.locator()), ("file", "/srv/ds1.img"));
    }

    #[test]
    fn a_misspelt_handler_or_option_is_answered_with_the_nearest() {
        assert_eq!(
            complaint("fiel//srv/ds1.img"),
            "there is no handler `fiel`; did you mean `file`? (known: ram, file)"
        );
        assert_eq!(
            complaint("tape/0"),
            "there is no handler `tape` (known: ram, file)",
            "nothing is near enough to suggest"
        );
        assert_eq!(
            complaint("file//a;readonly=yes"),
            "`file` has no option `readonly`; did you mean `read-only`? \
             (known: cache, read-only, workers)"
        );
        assert_eq!(complaint("ram/;cache=no"), "`ram` has no option `cache` (known: none)");
    }

    #[test]
    #[should_panic(expected = "two handlers are called ram")]
    fn names_are_unique() {
        Registry::new(vec![Box::new(Named("ram", &[])), Box::new(Named("ram", &[]))]);
    }
}
