//! Every key there is. What a key does, the help, the hints at the foot of a screen and the documentation are all read
//! from [`KEYS`].

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Where a key has its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyContext {
    /// On every screen.
    Everywhere,
    /// On the overview.
    Overview,
    /// In the tables of connections and credentials.
    Tables,
    /// On the screen of a service.
    Service,
    /// On the screen of a connection.
    Connection,
    /// On the screen of a credential.
    Credential,
    /// While packets are captured.
    Live,
}

impl KeyContext {
    /// In the order of the help.
    pub const ALL: [Self; 7] = [
        Self::Everywhere,
        Self::Overview,
        Self::Tables,
        Self::Service,
        Self::Connection,
        Self::Credential,
        Self::Live,
    ];

    /// Its heading in the help.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Overview => "Overview",
            Self::Tables => "Connections and credentials",
            Self::Service => "Service",
            Self::Connection => "Connection",
            Self::Credential => "Credential",
            Self::Live => "Live",
        }
    }
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Leave the program.
    Quit,
    /// Show or hide the help.
    Help,
    /// One screen back.
    Back,
    /// The next of the main screens.
    NextScreen,
    /// The one before.
    PreviousScreen,
    /// To the overview.
    Overview,
    /// To the connections.
    Connections,
    /// To the credentials.
    Credentials,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// To the left: another list, column, or part of a picture.
    Left,
    /// To the right.
    Right,
    /// One screenful up.
    PageUp,
    /// One screenful down.
    PageDown,
    /// To the first line.
    First,
    /// To the last line.
    Last,
    /// Into what the line is about.
    Open,
    /// Type a filter.
    Filter,
    /// Type a text to look for.
    Search,
    /// To the next line with that text.
    NextHit,
    /// To the one before.
    PreviousHit,
    /// Sort the other way round.
    Reverse,
    /// The order of the report.
    Unsorted,
    /// To the service of the line or screen.
    Service,
    /// To the connection that issued what was offered.
    Issuer,
    /// To the credential.
    Credential,
    /// The next connection of the session, or client of the service.
    Next,
    /// The one before.
    Previous,
    /// Copy a Wireshark filter.
    CopyFilter,
    /// Copy a frame number.
    CopyFrame,
    /// Write what is shown to a file.
    Export,
    /// Stop the picture, and let it run on.
    Pause,
    /// Back to the shell for a while.
    Suspend,
    /// Draw everything anew.
    Redraw,
}

/// Keys with what they do.
#[derive(Debug)]
pub struct Binding {
    /// The keys: code, and whether Control is held.
    pub keys: &'static [(KeyCode, bool)],
    /// What they do.
    pub action: Action,
    /// Where.
    pub places: &'static [KeyContext],
    /// In words.
    pub words: &'static str,
    /// One word for the foot of a screen; without it, only the help names it.
    pub hint: Option<&'static str>,
}

use KeyContext::{Connection, Credential, Everywhere, Live, Overview, Service, Tables};

const fn key(letter: char) -> (KeyCode, bool) {
    (KeyCode::Char(letter), false)
}

const fn control(letter: char) -> (KeyCode, bool) {
    (KeyCode::Char(letter), true)
}

const fn code(code: KeyCode) -> (KeyCode, bool) {
    (code, false)
}

const fn binding(
    keys: &'static [(KeyCode, bool)],
    action: Action,
    places: &'static [KeyContext],
    words: &'static str,
) -> Binding {
    Binding {
        keys,
        action,
        places,
        words,
        hint: None,
    }
}

const fn hinted(
    keys: &'static [(KeyCode, bool)],
    action: Action,
    places: &'static [KeyContext],
    words: &'static str,
    hint: &'static str,
) -> Binding {
    Binding {
        hint: Some(hint),
        ..binding(keys, action, places, words)
    }
}

/// Every key. The first that fits the place counts.
pub const KEYS: &[Binding] = &[
    hinted(
        &[key('?')],
        Action::Help,
        &[Everywhere],
        "show or hide this help",
        "help",
    ),
    hinted(&[key('q'), control('c')], Action::Quit, &[Everywhere], "leave", "quit"),
    hinted(
        &[code(KeyCode::Esc), code(KeyCode::Backspace)],
        Action::Back,
        &[Everywhere],
        "back to the screen before; in a table: drop the filter",
        "back",
    ),
    binding(
        &[code(KeyCode::Tab)],
        Action::NextScreen,
        &[Everywhere],
        "next of the main screens",
    ),
    binding(
        &[code(KeyCode::BackTab)],
        Action::PreviousScreen,
        &[Everywhere],
        "the one before",
    ),
    binding(&[key('1')], Action::Overview, &[Everywhere], "to the overview"),
    binding(&[key('2')], Action::Connections, &[Everywhere], "to the connections"),
    binding(&[key('3')], Action::Credentials, &[Everywhere], "to the credentials"),
    binding(&[code(KeyCode::Up), key('k')], Action::Up, &[Everywhere], "one line up"),
    binding(
        &[code(KeyCode::Down), key('j')],
        Action::Down,
        &[Everywhere],
        "one line down",
    ),
    binding(
        &[code(KeyCode::PageUp), control('b')],
        Action::PageUp,
        &[Everywhere],
        "one screenful up",
    ),
    binding(
        &[code(KeyCode::PageDown), control('f')],
        Action::PageDown,
        &[Everywhere],
        "one screenful down",
    ),
    binding(
        &[code(KeyCode::Home), key('g')],
        Action::First,
        &[Everywhere],
        "to the first line",
    ),
    binding(
        &[code(KeyCode::End), key('G')],
        Action::Last,
        &[Everywhere],
        "to the last line",
    ),
    hinted(
        &[code(KeyCode::Enter)],
        Action::Open,
        &[Everywhere],
        "into what the line is about",
        "open",
    ),
    binding(
        &[code(KeyCode::Left), key('h')],
        Action::Left,
        &[Overview],
        "to the list of services",
    ),
    binding(
        &[code(KeyCode::Right), key('l')],
        Action::Right,
        &[Overview],
        "to the list of reasons",
    ),
    binding(
        &[code(KeyCode::Left), key('h')],
        Action::Left,
        &[Tables],
        "sort by the column to the left",
    ),
    hinted(
        &[code(KeyCode::Right), key('l')],
        Action::Right,
        &[Tables],
        "sort by the column to the right",
        "sort",
    ),
    binding(&[key('r')], Action::Reverse, &[Tables], "sort the other way round"),
    binding(&[key('s')], Action::Unsorted, &[Tables], "the order of the report"),
    binding(
        &[code(KeyCode::Left), key('h')],
        Action::Left,
        &[Service],
        "earlier part of the swimlane",
    ),
    binding(
        &[code(KeyCode::Right), key('l')],
        Action::Right,
        &[Service],
        "later part of the swimlane",
    ),
    hinted(
        &[key('f')],
        Action::Filter,
        &[Overview, Tables],
        "filter by terms of --where, as in reason:stek backend:2",
        "filter",
    ),
    hinted(
        &[key('/')],
        Action::Search,
        &[Everywhere],
        "look for a text as it is typed",
        "search",
    ),
    binding(
        &[key('n')],
        Action::NextHit,
        &[Everywhere],
        "to the next line with that text",
    ),
    binding(&[key('N')], Action::PreviousHit, &[Everywhere], "to the one before"),
    hinted(
        &[key('i')],
        Action::Issuer,
        &[Connection, Tables],
        "to the connection that issued what was offered",
        "issuer",
    ),
    hinted(
        &[key('c')],
        Action::Credential,
        &[Connection, Tables],
        "to the credential that was accepted, offered or issued",
        "credential",
    ),
    hinted(
        &[key(']')],
        Action::Next,
        &[Connection],
        "to the next connection of the same session",
        "next",
    ),
    binding(&[key('[')], Action::Previous, &[Connection], "to the one before"),
    hinted(
        &[key(']')],
        Action::Next,
        &[Service],
        "the swimlane of the next client",
        "next client",
    ),
    binding(&[key('[')], Action::Previous, &[Service], "of the client before"),
    hinted(
        &[key('v')],
        Action::Service,
        &[Connection, Tables],
        "to the service of the connection",
        "service",
    ),
    hinted(
        &[key('y')],
        Action::CopyFilter,
        &[Connection, Tables],
        "copy a Wireshark filter for the connection (by OSC 52)",
        "copy filter",
    ),
    binding(
        &[key('Y')],
        Action::CopyFrame,
        &[Connection, Credential, Service, Tables],
        "copy the frame number of the line",
    ),
    hinted(
        &[key('e')],
        Action::Export,
        &[Everywhere],
        "write what is shown to a file: JSON or Markdown",
        "export",
    ),
    hinted(
        &[key(' ')],
        Action::Pause,
        &[Live],
        "stop the picture, and let it run on",
        "pause",
    ),
    binding(
        &[control('z')],
        Action::Suspend,
        &[Everywhere],
        "to the shell; fg comes back",
    ),
    binding(&[control('l')], Action::Redraw, &[Everywhere], "draw everything anew"),
];

impl Binding {
    /// Its keys as people write them.
    #[must_use]
    pub fn label(&self) -> String {
        let names: Vec<String> = self.keys.iter().map(|key| name(*key)).collect();
        names.join(" ")
    }

    /// Whether it counts on a screen.
    #[must_use]
    pub fn counts(&self, place: KeyContext, live: bool) -> bool {
        let fits = |own: &KeyContext| match own {
            Everywhere => true,
            Live => live,
            own => *own == place,
        };
        self.places.iter().any(fits)
    }
}

fn name((code, control): (KeyCode, bool)) -> String {
    let plain = match code {
        KeyCode::Char(' ') => "Space".to_owned(),
        KeyCode::Char(letter) if control => letter.to_ascii_uppercase().to_string(),
        KeyCode::Char(letter) => letter.to_string(),
        KeyCode::Up => "↑".to_owned(),
        KeyCode::Down => "↓".to_owned(),
        KeyCode::Left => "←".to_owned(),
        KeyCode::Right => "→".to_owned(),
        KeyCode::PageUp => "PgUp".to_owned(),
        KeyCode::PageDown => "PgDn".to_owned(),
        KeyCode::BackTab => "Shift-Tab".to_owned(),
        other => other.to_string(),
    };
    if control { format!("Ctrl-{plain}") } else { plain }
}

/// What a key does on a screen.
#[must_use]
pub fn action(event: KeyEvent, place: KeyContext, live: bool) -> Option<Action> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let other = event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER);
    let pressed = |binding: &&Binding| binding.keys.contains(&(event.code, control)) && binding.counts(place, live);
    KEYS.iter()
        .filter(|_| !other)
        .find(pressed)
        .map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_two_meanings_in_one_place() {
        for place in KeyContext::ALL {
            for (index, binding) in KEYS.iter().enumerate() {
                for other in KEYS.iter().skip(index + 1) {
                    let both = binding.places.contains(&place) && other.places.contains(&place);
                    let same = binding.keys.iter().any(|key| other.keys.contains(key));
                    assert!(!(both && same), "{} in {place:?}", binding.label());
                }
            }
        }
    }

    #[test]
    fn a_key_of_one_place_means_nothing_elsewhere() {
        let issuer = KeyEvent::new(KeyCode::Char('i'), KeyModifiers::NONE);
        assert_eq!(action(issuer, KeyContext::Connection, false), Some(Action::Issuer));
        assert_eq!(action(issuer, KeyContext::Overview, false), None);
        let pause = KeyEvent::new(KeyCode::Char(' '), KeyModifiers::NONE);
        assert_eq!(action(pause, KeyContext::Tables, false), None);
        assert_eq!(action(pause, KeyContext::Tables, true), Some(Action::Pause));
    }

    #[test]
    fn keys_are_called_as_people_call_them() {
        let label = |action| KEYS.iter().find(|binding| binding.action == action).map(Binding::label);
        assert_eq!(label(Action::Quit).as_deref(), Some("q Ctrl-C"));
        assert_eq!(label(Action::Up).as_deref(), Some("↑ k"));
        assert_eq!(label(Action::Pause).as_deref(), Some("Space"));
    }
}
