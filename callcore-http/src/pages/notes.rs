//! What people wrote down, newest first, as much of it as fits a page.

use callcore::client::Note;

use super::frame::Visit;
use super::when::When;
use super::words;

/// How many bytes of notes a page shows; the first note is shown in any case.
const ROOM: usize = 16_000;

/// How many notes a page shows.
const MOST: usize = 30;

/// How many characters a note has before it is folded, and how many then show.
const LONG: (usize, usize) = (1_200, 240);

/// A part of the notes of a call or client.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) rows: Vec<NoteRow>,
    /// Before which place older ones go on.
    pub(super) older: Option<usize>,
    /// Whether newer ones were left out.
    pub(super) newer: bool,
}

/// A note in a list.
#[derive(Debug)]
pub(super) struct NoteRow {
    /// The beginning of a long note, which stands folded.
    pub(super) head: Option<String>,
    pub(super) text: String,
    pub(super) by: String,
    pub(super) at: When,
}

impl Notes {
    /// Notes, which come oldest first, from the one before a place on, or else from the newest on.
    pub(super) fn new(all: &[Note], before: Option<usize>, visit: &Visit) -> Self {
        let end = before.unwrap_or(all.len()).min(all.len());
        let (mut rows, mut room) = (Vec::new(), ROOM);
        for note in all[..end].iter().rev().take(MOST) {
            if !rows.is_empty() && note.text.len() > room {
                break;
            }
            room = room.saturating_sub(note.text.len());
            rows.push(NoteRow {
                head: head(&note.text),
                text: note.text.clone(),
                by: words::actor(&note.by),
                at: visit.when(note.at),
            });
        }
        let older = Some(end - rows.len()).filter(|place| *place > 0);
        Self { rows, older, newer: end < all.len() }
    }
}

fn head(text: &str) -> Option<String> {
    text.char_indices().nth(LONG.0)?;
    let head: String = text.chars().take(LONG.1).collect();
    Some(head.trim_end().to_owned() + "…")
}
