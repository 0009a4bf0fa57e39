//! One message, in the forms that channels need: as text, as HTML, and as a few lines for a phone.

use crate::notify::notification::Severity;

/// What a notification says, before it has a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub subject: String,
    pub severity: Severity,
    pub headline: String,
    /// Paragraphs below the headline.
    pub paragraphs: Vec<String>,
    pub facts: Vec<(String, String)>,
    /// Further parts.
    pub parts: Vec<Part>,
    pub foot: String,
}

/// A title and its lines, which keep their breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub title: &'static str,
    pub lines: Vec<String>,
}

/// The title of the part that a phone has no room for.
pub(super) const LOG: &str = "The end of the log";

impl Message {
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.headline);
        for paragraph in &self.paragraphs {
            text.push_str(&format!("\n{paragraph}\n"));
        }
        if !self.facts.is_empty() {
            let width = self
                .facts
                .iter()
                .map(|(label, _)| label.chars().count())
                .max()
                .unwrap_or_default()
                + 2;
            text.push('\n');
            for (label, value) in &self.facts {
                let value = value.replace('\n', &format!("\n{:width$}", ""));
                text.push_str(&format!("{:width$}{value}\n", format!("{label}:")));
            }
        }
        for Part { title, lines } in &self.parts {
            text.push_str(&format!("\n{title}\n"));
            for line in lines {
                text.push_str(&format!("  {line}\n"));
            }
        }
        text.push_str(&format!("\n-- \n{}\n", self.foot));
        plain(&text)
    }

    /// Without the log and the foot, cut to at most so many characters.
    pub(crate) fn brief(&self, most_chars: usize) -> String {
        let parts = self.parts.iter().filter(|part| part.title != LOG);
        let short = Message {
            parts: parts.cloned().collect(),
            ..self.clone()
        };
        let text = short.text();
        let end = text.rfind("\n-- \n").unwrap_or(text.len());
        cut(text[..end].trim(), most_chars)
    }

    pub(crate) fn html(&self) -> String {
        let colour = match self.severity {
            Severity::Good => "#2e7d32",
            Severity::Attention => "#b26a00",
            Severity::Bad => "#b3261e",
        };
        let mut html = format!(
            "<!DOCTYPE html>\n<html><body style=\"margin:0;padding:16px;font:15px/1.45 sans-serif;color:#222\">\n\
             <div style=\"max-width:640px;border-top:4px solid {colour};padding-top:8px\">\n\
             <h2 style=\"margin:8px 0;font-size:19px;color:{colour}\">{}</h2>\n",
            escaped(&self.headline)
        );
        for paragraph in &self.paragraphs {
            html.push_str(&format!(
                "<p>{}</p>\n",
                escaped(paragraph).replace('\n', "<br>")
            ));
        }
        if !self.facts.is_empty() {
            html.push_str("<table style=\"border-collapse:collapse\">\n");
            for (label, value) in &self.facts {
                html.push_str(&format!(
                    "<tr><td style=\"padding:2px 16px 2px 0;color:#666;vertical-align:top\">{}</td><td>{}</td></tr>\n",
                    escaped(label),
                    escaped(value).replace('\n', "<br>")
                ));
            }
            html.push_str("</table>\n");
        }
        for Part { title, lines } in &self.parts {
            let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
            html.push_str(&format!(
                "<h3 style=\"margin:16px 0 4px;font-size:15px\">{}</h3>\n\
                 <div style=\"font:13px/1.4 monospace;white-space:pre-wrap\">{}</div>\n",
                escaped(title),
                lines.join("\n")
            ));
        }
        html.push_str(&format!(
            "<p style=\"margin-top:20px;color:#888;font-size:12px\">{}</p>\n</div>\n</body></html>\n",
            escaped(&self.foot).replace('\n', "<br>")
        ));
        html
    }
}

/// Text that a hostile server or log line cannot turn into markup.
fn escaped(text: &str) -> String {
    let text = plain(text);
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// At most so many characters, the last of which then shows that there were more.
pub(crate) fn cut(text: &str, most_chars: usize) -> String {
    if text.chars().count() <= most_chars {
        return text.to_owned();
    }
    let kept = text.chars().take(most_chars.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// Text without control characters but line breaks and tabs.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}
