//! `$regex`. MongoDB reads regular expressions with PCRE; here an engine does that never takes more than linear time, and so
//! cannot do all of it. What it lacks, or means otherwise, is refused by name or rewritten:
//!
//! | in PCRE | here |
//! |---|---|
//! | `\d` `\w` `\s` `\b` know ASCII alone | written out |
//! | `$` also fits before the last line break | written out |
//! | looking around, back-references, `a++`, `\<` as `<` | refused |

use super::QueryError;
use crate::archive::element::{Value, cstrings, kind, text};
use crate::archive::namespace::printable;
use regex_automata::meta::{self, Regex};
use regex_automata::util::syntax;
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    Assertion, AssertionKind, Ast, ClassBracketed, ClassPerl, ClassPerlKind, ClassSet,
    ClassSetItem, ErrorKind, Flag, Flags, FlagsItemKind, GroupKind, HexLiteralKind, Literal,
    LiteralKind, Span, SpecialLiteralKind,
};
use std::ops::Range;

/// Groups in groups; each takes of the stack.
const DEEPEST: u32 = 100;
/// What a compiled expression may take, in bytes: `a{1000}{1000}` would take everything.
const LARGEST: usize = 4 * 1024 * 1024;

/// A regular expression, as a query has it.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// As it was written, to be told from one that is stored in a document.
    source: String,
    options: String,
}

impl Pattern {
    pub(super) fn new(pattern: &str, options: &str) -> Result<Self, QueryError> {
        let refused = |problem: String| {
            let pattern = printable(pattern);
            QueryError(format!(
                "the regular expression {pattern:?} is refused: {problem}"
            ))
        };
        if let Some(option) = options.chars().find(|c| !"imsxu".contains(*c)) {
            let option = printable(&option.to_string());
            return Err(refused(format!(
                "its option {option:?} is none of i, m, s, x"
            )));
        }
        let has = |option| options.contains(option);
        let mode = Mode {
            case_insensitive: has('i'),
            multi_line: has('m'),
            ignore_whitespace: has('x'),
        };
        let rewritten = rewrite(pattern, mode).map_err(refused)?;
        let syntax = syntax::Config::new()
            .utf8(false)
            .nest_limit(DEEPEST)
            .case_insensitive(has('i'))
            .multi_line(has('m'))
            .dot_matches_new_line(has('s'))
            .ignore_whitespace(has('x'));
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(LARGEST))
            .hybrid_cache_capacity(LARGEST / 4);
        let regex = Regex::builder()
            .syntax(syntax)
            .configure(config)
            .build(&rewritten)
            .map_err(|error| match error.size_limit() {
                Some(_) => refused("it is too large".into()),
                None => refused(error.to_string()),
            })?;
        // BSON has them in order.
        let mut options: Vec<char> = options.chars().collect();
        options.sort_unstable();
        Ok(Pattern {
            regex,
            source: pattern.to_owned(),
            options: options.into_iter().collect(),
        })
    }

    /// Whether a text holds it, or a regular expression is the same.
    pub(super) fn fits(&self, value: Value) -> bool {
        match value.kind {
            kind::STRING | kind::SYMBOL => self.regex.is_match(text(value.bytes)),
            kind::REGEX => cstrings(value.bytes)
                .is_some_and(|stored| stored == (self.source.as_bytes(), self.options.as_bytes())),
            _ => false,
        }
    }
}

/// The expression as this engine has to be told it.
fn rewrite(pattern: &str, mut mode: Mode) -> Result<String, String> {
    let mut parser = ParserBuilder::new()
        .nest_limit(DEEPEST)
        .ignore_whitespace(mode.ignore_whitespace)
        .build();
    let ast = parser.parse(pattern).map_err(|error| match error.kind() {
        ErrorKind::UnsupportedLookAround => {
            "looking around, (?=…) (?!…) (?<=…) (?<!…), is not understood here".to_owned()
        }
        ErrorKind::UnsupportedBackreference => {
            "referring back to a group, such as \\1, is not understood here".into()
        }
        kind => format!("{kind}, at character {}", error.span().start.column),
    })?;
    let mut rewriter = Rewriter {
        pattern,
        edits: Vec::new(),
    };
    rewriter.walk(&ast, &mut mode)?;
    let mut rewritten = pattern.to_owned();
    // From the end, so that what is before an edit stays where it is.
    for (range, text) in rewriter.edits.iter().rev() {
        rewritten.replace_range(range.clone(), text);
    }
    Ok(rewritten)
}

/// Options that hold at one place of an expression; they may change inside it.
#[derive(Clone, Copy)]
struct Mode {
    case_insensitive: bool,
    multi_line: bool,
    ignore_whitespace: bool,
}

struct Rewriter<'p> {
    pattern: &'p str,
    /// In the order of the expression.
    edits: Vec<(Range<usize>, String)>,
}

impl Rewriter<'_> {
    fn walk(&mut self, ast: &Ast, mode: &mut Mode) -> Result<(), String> {
        match ast {
            Ast::Empty(_) | Ast::Dot(_) => Ok(()),
            Ast::ClassUnicode(class) => self.unicode(&class.span, *mode),
            Ast::Flags(set) => set_mode(&set.flags, mode),
            Ast::Literal(literal) => self.literal(literal),
            Ast::Assertion(assertion) => self.assertion(assertion, *mode),
            Ast::ClassPerl(class) => {
                self.perl(class, |set| format!("(?-i:{set})"));
                Ok(())
            }
            Ast::ClassBracketed(class) => self.bracketed(class, *mode),
            Ast::Repetition(repetition) => match &*repetition.ast {
                Ast::Repetition(_) => Err(
                    "a repetition of a repetition, such as a++, which never gives back what it took, is not understood here"
                        .into(),
                ),
                _ if self.written(&repetition.op.span).contains(char::is_whitespace) => Err(format!(
                    "{:?} stands for itself in MongoDB; write it without blanks, or \\{{ for the text",
                    self.written(&repetition.op.span)
                )),
                inner => self.walk(inner, mode),
            },
            Ast::Group(group) => {
                // What is set inside a group holds inside it.
                let mut inside = *mode;
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    set_mode(flags, &mut inside)?;
                }
                self.walk(&group.ast, &mut inside)
            }
            Ast::Alternation(several) => several
                .asts
                .iter()
                .try_for_each(|one| self.walk(one, mode)),
            Ast::Concat(several) => several
                .asts
                .iter()
                .try_for_each(|one| self.walk(one, mode)),
        }
    }

    fn edit(&mut self, span: &Span, text: impl Into<String>) {
        self.edits
            .push((span.start.offset..span.end.offset, text.into()));
    }

    fn literal(&mut self, literal: &Literal) -> Result<(), String> {
        match &literal.kind {
            // In PCRE, any line break.
            LiteralKind::Special(SpecialLiteralKind::VerticalTab) => {
                self.edit(&literal.span, r"[\n\x0B\f\r\x{85}\x{2028}\x{2029}]");
                Ok(())
            }
            LiteralKind::HexFixed(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong)
            | LiteralKind::HexBrace(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong) => {
                Err("\\u is not understood; write \\x{…}".into())
            }
            _ => Ok(()),
        }
    }

    fn assertion(&mut self, assertion: &Assertion, mode: Mode) -> Result<(), String> {
        let span = &assertion.span;
        match assertion.kind {
            AssertionKind::EndLine if !mode.multi_line => self.edit(span, r"(?:\n?\z)"),
            AssertionKind::WordBoundary => self.edit(span, r"(?-u:\b)"),
            AssertionKind::NotWordBoundary => self.edit(span, r"(?-u:\B)"),
            AssertionKind::StartLine
            | AssertionKind::EndLine
            | AssertionKind::StartText
            | AssertionKind::EndText => {}
            _ => {
                let written = self.written(span);
                return Err(format!("{written} means another thing in MongoDB"));
            }
        }
        Ok(())
    }

    fn perl(&mut self, class: &ClassPerl, around: impl Fn(&str) -> String) {
        let set = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Space, false) => r"[\t\n\x0B\f\r\x20]",
            (ClassPerlKind::Space, true) => r"[^\t\n\x0B\f\r\x20]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.edit(&class.span, around(set));
    }

    /// What a property fits when upper and lower case are the same is another matter there, and not the same in all versions.
    fn unicode(&self, span: &Span, mode: Mode) -> Result<(), String> {
        match mode.case_insensitive {
            true => Err(format!(
                "{} with the option i means another thing in MongoDB",
                self.written(span)
            )),
            false => Ok(()),
        }
    }

    fn bracketed(&mut self, class: &ClassBracketed, mode: Mode) -> Result<(), String> {
        let written = self.written(&class.span);
        if mode.ignore_whitespace && written.contains(|c: char| c.is_whitespace() || c == '#') {
            return Err(format!(
                "{written:?} holds blanks, which the option x drops here and keeps in MongoDB; write \\x20"
            ));
        }
        match &class.kind {
            ClassSet::Item(item) => self.item(item, mode),
            ClassSet::BinaryOp(_) => Err(format!("{written} means another thing in MongoDB")),
        }
    }

    fn item(&mut self, item: &ClassSetItem, mode: Mode) -> Result<(), String> {
        match item {
            ClassSetItem::Literal(literal) => self.literal(literal),
            ClassSetItem::Perl(class) => {
                self.perl(class, str::to_owned);
                Ok(())
            }
            ClassSetItem::Bracketed(class) => {
                let written = self.written(&class.span);
                Err(format!(
                    "{written} inside brackets means another thing in MongoDB"
                ))
            }
            ClassSetItem::Union(union) => {
                let mut items = union.items.iter();
                items.try_for_each(|item| self.item(item, mode))
            }
            ClassSetItem::Unicode(class) => self.unicode(&class.span, mode),
            ClassSetItem::Empty(_) | ClassSetItem::Range(_) | ClassSetItem::Ascii(_) => Ok(()),
        }
    }

    fn written(&self, span: &Span) -> String {
        let written = self.pattern.get(span.start.offset..span.end.offset);
        printable(written.unwrap_or_default())
    }
}

fn set_mode(flags: &Flags, mode: &mut Mode) -> Result<(), String> {
    let mut on = true;
    for item in &flags.items {
        match item.kind {
            FlagsItemKind::Negation => on = false,
            FlagsItemKind::Flag(Flag::CaseInsensitive) => mode.case_insensitive = on,
            FlagsItemKind::Flag(Flag::MultiLine) => mode.multi_line = on,
            FlagsItemKind::Flag(Flag::IgnoreWhitespace) => mode.ignore_whitespace = on,
            FlagsItemKind::Flag(Flag::Unicode | Flag::CRLF) => {
                return Err(
                    "the options u and R inside an expression mean another thing in MongoDB".into(),
                );
            }
            FlagsItemKind::Flag(_) => {}
        }
    }
    Ok(())
}
