//! A mail's page, as text and as HTML at once.
//!
//! Mail programs know tables and inline styles, and not much else; those that know a style sheet
//! get the dark colours from one.

use crate::port::Body;

const FONT: &str =
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";
const INK: &str = "color:#1b2326";
const MUTED: &str = "color:#566268";
const ACCENT: &str = "color:#0b665e";
const LINE: &str = "border-top:1px solid #dedbd1";

/// Inline styles win over a sheet, so that each dark colour has to insist.
const SHEET: &str = "\
:root{color-scheme:light dark;supported-color-schemes:light dark}\
@media (max-width:480px){.card{padding:20px 16px!important}\
.tile{display:block!important;width:auto!important;padding:8px 0!important}\
.figure{display:inline-block!important;min-width:96px!important;font-size:22px!important}\
.label{display:inline-block!important}}\
@media (prefers-color-scheme:dark){\
.paper{background:#111618!important}.card{background:#192023!important;border-color:#2b3438!important}\
.ink{color:#e6eaeb!important}.muted{color:#9aa7ad!important}.accent{color:#6cc7bb!important}\
.line{border-color:#2b3438!important}}";

/// A mail that is being written.
pub(crate) struct Page {
    title: String,
    text: String,
    html: String,
}

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), text: String::new(), html: String::new() }
    }

    /// What it is about, and below it when.
    pub(crate) fn heading(&mut self, heading: &str, when: &str) {
        self.line(&format!("{heading}\n{when}\n"));
        let (heading, when) = (escape(heading), escape(when));
        self.row(&format!(
            "<h1 class=\"ink\" style=\"margin:0;font-size:22px;line-height:1.3;font-weight:650;\
             {INK}\">{heading}</h1>\
             <p class=\"muted\" style=\"margin:4px 0 0;font-size:14px;{MUTED}\">{when}</p>"
        ));
    }

    /// Figures side by side, each with its label.
    pub(crate) fn figures(&mut self, figures: &[(&str, String)]) {
        let mut cells = String::new();
        for (label, figure) in figures {
            self.line(&format!("{label}: {figure}"));
            let (label, figure) = (escape(label), escape(figure));
            let width = 100 / figures.len().max(1);
            push(
                &mut cells,
                format_args!(
                    "<td class=\"tile\" width=\"{width}%\" valign=\"top\" style=\"padding:0 8px 0 0\">\
                 <div class=\"ink figure\" style=\"font-size:26px;line-height:1.2;font-weight:650;\
                 {INK}\">{figure}</div>\
                 <div class=\"muted label\" style=\"font-size:13px;{MUTED}\">{label}</div></td>"
                ),
            );
        }
        self.row(&format!("{TABLE}<tr>{cells}</tr></table>"));
    }

    /// A part's heading.
    pub(crate) fn part(&mut self, heading: &str) {
        self.line(&format!("\n{heading}"));
        let heading = escape(heading);
        self.html.push_str(&format!(
            "<tr><td class=\"line\" style=\"padding:20px 0 8px;{LINE}\">\
             <h2 class=\"ink\" style=\"margin:0;font-size:15px;font-weight:650;{INK}\">\
             {heading}</h2></td></tr>"
        ));
    }

    /// Lines of a label and a figure, which may be a link.
    pub(crate) fn entries(&mut self, entries: &[(String, String, Option<String>)]) {
        let mut rows = String::new();
        for (label, figure, link) in entries {
            let target = link.as_deref().map(|link| format!("  {link}")).unwrap_or_default();
            self.line(&format!("  {label}: {figure}{target}"));
            let label = anchor(label, link.as_deref());
            push(
                &mut rows,
                format_args!(
                    "<tr><td style=\"padding:4px 0;font-size:15px\">{label}</td>\
                 <td class=\"ink\" align=\"right\" style=\"padding:4px 0;font-size:15px;\
                 font-variant-numeric:tabular-nums;{INK}\">{}</td></tr>",
                    escape(figure)
                ),
            );
        }
        self.row(&format!("{TABLE}{rows}</table>"));
    }

    /// Rows that are a name, which is a link, with figures below it under heads of their own: side by
    /// side they would leave a name no room on a telephone.
    pub(crate) fn table(&mut self, heads: &[&str], rows: &[(String, Vec<String>, String)]) {
        let columns = heads.len().max(1);
        let width = 100 / columns;
        let cells = |words: &[String], class: &str, style: &str| -> String {
            let cell = |word: &String| {
                format!(
                    "<td class=\"{class}\" width=\"{width}%\" style=\"{style}\">{}</td>",
                    escape(word)
                )
            };
            words.iter().map(cell).collect()
        };
        let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
        let small = format!("padding:0 0 6px;font-size:12px;{MUTED}");
        let figure = format!(
            "padding:0 0 8px;font-size:15px;white-space:nowrap;\
             font-variant-numeric:tabular-nums;{INK}"
        );
        let mut html = format!("<tr>{}</tr>", cells(&heads, "muted", &small));
        for (name, figures, link) in rows {
            push(
                &mut html,
                format_args!(
                    "<tr><td class=\"line\" colspan=\"{columns}\" style=\"padding:8px 0 2px;\
                     font-size:15px;overflow-wrap:anywhere;{LINE}\">{}</td></tr><tr>{}</tr>",
                    anchor(name, Some(link)),
                    cells(figures, "ink", &figure)
                ),
            );
            let pairs = heads.iter().zip(figures);
            let words: Vec<String> =
                pairs.map(|(head, figure)| format!("{} {figure}", head.to_lowercase())).collect();
            self.line(&format!("  {name}: {}\n    {link}", words.join(", ")));
        }
        self.row(&format!("{TABLE}{html}</table>"));
    }

    /// A line that is a link.
    pub(crate) fn link(&mut self, label: &str, target: &str) {
        self.line(&format!("{label}\n  {target}"));
        self.html.push_str(&format!(
            "<tr><td class=\"line\" style=\"padding:8px 0;font-size:15px;{LINE}\">{}</td></tr>",
            anchor(label, Some(target))
        ));
    }

    /// A line in small print.
    pub(crate) fn note(&mut self, words: &str) {
        self.line(words);
        let words = escape(words);
        self.row(&format!(
            "<p class=\"muted\" style=\"margin:0;font-size:14px;{MUTED}\">{words}</p>"
        ));
    }

    /// The last line: where more is to be seen.
    pub(crate) fn footer(&mut self, label: &str, target: &str) {
        self.line(&format!("\n{label}: {target}"));
        self.html.push_str(&format!(
            "<tr><td class=\"line\" style=\"padding:16px 0 0;font-size:15px;{LINE}\">{}</td></tr>",
            anchor(label, Some(target))
        ));
    }

    /// The whole mail.
    pub(crate) fn finish(self) -> Body {
        let title = escape(&self.title);
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <meta name=\"supported-color-schemes\" content=\"light dark\">\
             <title>{title}</title><style>{SHEET}</style></head>\
             <body class=\"paper\" style=\"margin:0;padding:0;background:#f5f4ef\">\
             <table role=\"presentation\" class=\"paper\" width=\"100%\" cellpadding=\"0\" \
             cellspacing=\"0\" border=\"0\" style=\"background:#f5f4ef;{FONT}\"><tr>\
             <td align=\"center\" style=\"padding:16px 8px\">\
             <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
             border=\"0\" style=\"max-width:600px\"><tr><td class=\"card\" align=\"left\" \
             style=\"padding:28px;background:#fffefa;border:1px solid #dedbd1;\
             border-radius:10px\">{TABLE}{}</table></td></tr></table></td></tr></table>\
             </body></html>\n",
            self.html
        );
        Body { text: self.text.trim().to_owned() + "\n", html }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn row(&mut self, html: &str) {
        push(&mut self.html, format_args!("<tr><td style=\"padding:0 0 20px\">{html}</td></tr>"));
    }
}

const TABLE: &str = "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" \
     cellspacing=\"0\" border=\"0\">";

fn anchor(label: &str, target: Option<&str>) -> String {
    let label = escape(label);
    match target {
        Some(target) => {
            let target = escape(target);
            format!("<a class=\"accent\" href=\"{target}\" style=\"{ACCENT}\">{label}</a>")
        }
        None => format!("<span class=\"ink\" style=\"{INK}\">{label}</span>"),
    }
}

fn push(to: &mut String, what: std::fmt::Arguments<'_>) {
    to.push_str(&what.to_string());
}

/// Text as HTML shows it, in words and in attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
