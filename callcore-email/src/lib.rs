//! callcore's [`Notifier`](callcore::port::Notifier): mails through [Resend](resend) (feature
//! `resend`) or through an [SMTP server](smtp) (feature `smtp`).
//!
//! Both hand a mail over at most once a call, tell what certainly was not taken from what is in
//! doubt, and keep words out of headers. What waits, is tried again and is counted is the core's
//! affair: see [`callcore::mailer`].

#[cfg(feature = "resend")]
pub mod resend;
#[cfg(feature = "smtp")]
pub mod smtp;

/// A subject as one line: a line's end in it would begin another header.
#[cfg(any(feature = "resend", feature = "smtp"))]
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
