use std::collections::HashMap;
use std::fmt;

/// One piece of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Token<'a> {
    Number(f64),
    Name(&'a str),
    Sign(char),
}

#[derive(Debug)]
pub struct Error {
    pub message: String,
    pub at: usize,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {})", self.message, self.at)
    }
}

pub fn tokens(text: &str) -> Result<Vec<Token<'_>>, Error> {
    let mut found = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            ' ' | '\t' => continue,
            '(' | ')' | '+' | '-' => found.push(Token::Sign(c)),
            '0'..='9' => {
                let end = text[at..].find(|d: char| !d.is_ascii_digit()).map_or(text.len(), |n| at + n);
                found.push(Token::Number(text[at..end].parse().unwrap_or(0.0)));
            }
            _ => return Err(Error { message: format!("unexpected {c:?}"), at }),
        }
    }
    Ok(found)
}

pub fn count<'a>(found: &[Token<'a>]) -> HashMap<&'a str, usize> {
    let mut counts = HashMap::new();
    for token in found {
        if let Token::Name(name) = token {
            *counts.entry(*name).or_insert(0) += 1; // names only (signs do not count)
        }
    }
    counts
}
