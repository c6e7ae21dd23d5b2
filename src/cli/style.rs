//! Colours as plain functions.

use super::arguments::Color;
use super::environment::Environment;

/// Whether what is printed carries colours.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colors: bool,
}

impl Style {
    /// A style without colours.
    pub const PLAIN: Self = Self { colors: false };

    /// What the flag says, or else whether this is a terminal; NO_COLOR (no-color.org) is honoured where the flag leaves it open.
    #[must_use]
    pub fn of(color: Color, terminal: bool, environment: &Environment) -> Self {
        let colors = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !environment.no_color && !environment.dumb,
        };
        Self { colors }
    }

    /// Whether there are colours.
    #[must_use]
    pub const fn colors(self) -> bool {
        self.colors
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colors { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// As it should be.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Wrong.
    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// Worth a look.
    #[must_use]
    pub fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Less important than what stands around it.
    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// A name.
    #[must_use]
    pub fn name(self, text: &str) -> String {
        self.paint("1", text)
    }
}
