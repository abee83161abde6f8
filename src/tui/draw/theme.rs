//! Colours: the sixteen that every terminal has, on its own background, or none. What they say is also said by marks.

use ratatui::style::{Color, Modifier, Style};

use super::super::page::Tone;

/// With colour or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// With colour.
    pub coloured: bool,
}

/// Credentials side by side; they also have letters.
const CREDENTIALS: [Color; 6] = [
    Color::Cyan,
    Color::Magenta,
    Color::Blue,
    Color::Yellow,
    Color::LightCyan,
    Color::LightMagenta,
];

impl Theme {
    fn colour(self, colour: Color) -> Style {
        if self.coloured {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// A tone.
    pub(super) fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Name => Self::name(),
            Tone::Good => self.colour(Color::Green),
            Tone::Bad => self.colour(Color::Red),
            Tone::Note => self.colour(Color::Yellow),
            Tone::Advice => self.colour(Color::Cyan),
            Tone::Faint => Self::faint(),
            Tone::Credential(index) => {
                let colour = CREDENTIALS.get(index % CREDENTIALS.len());
                colour.map_or(Style::new(), |colour| self.colour(*colour))
            }
        }
    }

    /// Names and headings.
    pub(super) const fn name() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is needed less often. Some terminals show dim text as none at all: then it has a colour of its own.
    pub(super) const fn faint() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What is chosen among others; `here` when it has the cursor.
    pub(super) const fn chosen(here: bool) -> Style {
        if here {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new().add_modifier(Modifier::UNDERLINED)
        }
    }
}
