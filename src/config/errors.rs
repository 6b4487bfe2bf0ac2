//! What is wrong with a configuration: every mistake, each with where it is and what is allowed there.

use std::fmt;

use serde::Serialize;

/// The most errors that are listed. More are counted, so that a hostile document cannot make an answer of any size.
pub const MAX_ERRORS: usize = 500;

/// What kind of mistake it is. Part of the admin API: a code keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The text is not JSON (or TOML).
    Syntax,
    /// The document has too many bytes, or a list or table too many entries.
    TooLarge,
    /// A value has the wrong type.
    WrongType,
    /// A key that does not exist here.
    UnknownKey,
    /// One key is given in both of its spellings.
    DuplicateKey,
    /// A key that is needed is not there.
    MissingKey,
    /// A number or duration is outside its limits.
    OutOfRange,
    /// A value is not well formed.
    InvalidValue,
    /// A name is not well formed.
    InvalidName,
    /// A name or value that this project keeps for itself.
    Reserved,
    /// Two values that cannot stand together.
    Conflict,
    /// A route names a pool that does not exist.
    UnknownPool,
    /// A route that no request can reach.
    NeverMatches,
    /// A binding that the Worker does not have.
    MissingBinding,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ConfigError {
    /// Where it is, for example `pools.python.warm_target` or `routes[2].id`; empty for the document as a whole.
    /// A key has the spelling of the document.
    pub path: String,
    /// What kind of mistake it is.
    pub code: ErrorCode,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// All mistakes of a configuration; at least one. Serialises as `[{path, code, message}]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ConfigErrors {
    list: Vec<ConfigError>,
    #[serde(skip)]
    omitted: usize,
}

impl ConfigErrors {
    /// The mistakes in document order, at most [`MAX_ERRORS`].
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.list.iter()
    }

    /// How many more there are.
    pub const fn omitted(&self) -> usize {
        self.omitted
    }

    /// One mistake about the document as a whole.
    pub(super) fn whole(code: ErrorCode, message: String) -> Self {
        Self { list: vec![ConfigError { path: String::new(), code, message }], omitted: 0 }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self { list: vec![error], omitted: 0 }
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len() + self.omitted;
        write!(f, "{count} {} in the configuration:", if count == 1 { "error" } else { "errors" })?;
        for error in &self.list {
            write!(f, "\n  {error}")?;
        }
        if self.omitted > 0 {
            write!(f, "\n  and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Which part of the document is being looked at. The order is that of the list of mistakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    #[default]
    Document,
    Defaults,
    Pool(usize),
    Route(usize),
}

/// Collects mistakes while a document is read.
///
/// A pool is looked at more than once (each value, then the rules between them); its mistakes are listed together.
#[derive(Debug, Default)]
pub(super) struct Collected {
    list: Vec<(Place, ConfigError)>,
    omitted: usize,
    place: Place,
}

impl Collected {
    /// What is pushed from now on belongs there.
    pub(super) fn enter(&mut self, place: Place) {
        self.place = place;
    }

    pub(super) fn push(&mut self, path: &str, code: ErrorCode, message: String) {
        if self.list.len() < MAX_ERRORS {
            // Kept in order by insertion: a sort would weigh more than all the rest of this file in wasm.
            let at = self.list.partition_point(|(place, _)| *place <= self.place);
            self.list.insert(at, (self.place, ConfigError { path: path.to_owned(), code, message }));
        } else {
            self.omitted += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `value` when nothing went wrong. A value that is missing without a mistake on record would be a mistake of ours;
    /// it is refused too.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, ConfigErrors> {
        if !self.list.is_empty() {
            let list = self.list.into_iter().map(|(_, error)| error).collect();
            return Err(ConfigErrors { list, omitted: self.omitted });
        }
        value.ok_or_else(|| ConfigErrors::whole(ErrorCode::InvalidValue, "the document could not be read".to_owned()))
    }
}
