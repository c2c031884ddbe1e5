use std::fmt;

/// A wrong configuration or a wrong use, in one line for the person who wrote it: the place, the key, what is wrong, what
/// to write instead. A command that fails with it ends with exit code 2.
#[derive(Debug)]
pub struct Problem(String);

impl Problem {
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}
