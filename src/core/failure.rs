//! What can go wrong with a container, told from the texts that the platform and `@cloudflare/containers` throw.

use serde::{Deserialize, Serialize};

/// What a failed start says about the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The platform has no room: it learned us a ceiling, for a while.
    Capacity,
    /// The platform asks for a pause; the same container may be tried again.
    Transient,
    /// No retry will help until someone mends the configuration or the image.
    Permanent,
    /// It ran but did not become ready in time.
    NotReady,
    /// It ended before it was ready.
    Exited,
    /// The call failed: whether the container runs is not known.
    Unknown,
}

impl FailureClass {
    /// The word used in stats and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::NotReady => "not_ready",
            Self::Exited => "exited",
            Self::Unknown => "unknown",
        }
    }

    /// The class of an error, given its text and those of its causes, outermost first, in any case.
    pub fn of_message(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        CLASSES.iter().find(|(fragment, _)| text.contains(fragment)).map_or(Self::Unknown, |&(_, class)| class)
    }
}

/// Fragments of error texts of the platform and of `@cloudflare/containers` 0.3.7, lower case, most telling first.
const CLASSES: [(&str, FailureClass); 16] = [
    // No proof of anything, though they may contain fragments below.
    ("reset because its code was updated", FailureClass::Unknown),
    ("this script has been upgraded", FailureClass::Unknown),
    ("maximum number of running container instances exceeded", FailureClass::Capacity),
    ("there is no container instance", FailureClass::Transient),
    ("you are requesting too many containers per second", FailureClass::Transient),
    ("network connection lost", FailureClass::Transient),
    ("no such image", FailureClass::Permanent),
    ("ran out of memory", FailureClass::Permanent),
    ("no application that matches", FailureClass::Permanent),
    // All that the end of `monitor` says of an image that is missing.
    ("container failed to start", FailureClass::Exited),
    ("container exited before", FailureClass::Exited),
    ("container exited with unexpected exit code", FailureClass::Exited),
    ("failed to verify port", FailureClass::NotReady),
    ("the container is not listening", FailureClass::NotReady),
    ("container did not start after", FailureClass::NotReady),
    ("failed to start container", FailureClass::NotReady),
];

/// A start that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StartFailure {
    /// What it says about the next start.
    pub class: FailureClass,
    /// What happened, for people; at most [`MAX_MESSAGE_LEN`] bytes.
    pub message: String,
}

/// The longest message kept of a failure, in bytes: it goes into rows, stats and responses.
pub const MAX_MESSAGE_LEN: usize = 500;

impl StartFailure {
    /// A failure of a known class.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE_LEN {
            let end = (0..=MAX_MESSAGE_LEN).rev().find(|&at| message.is_char_boundary(at)).unwrap_or(0);
            message.truncate(end);
        }
        Self { class, message }
    }

    /// A failure known only by its text.
    pub fn of_message(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(FailureClass::of_message(&message), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_the_platform_have_their_class() {
        for (text, class) in [
            ("Error: Maximum number of running container instances exceeded. Try again later", FailureClass::Capacity),
            ("There is no Container instance that can be provided", FailureClass::Transient),
            ("you are requesting too many containers per second", FailureClass::Transient),
            ("No such image available named x", FailureClass::Permanent),
            ("Durable Object reset because its code was updated.", FailureClass::Unknown),
            ("something new", FailureClass::Unknown),
        ] {
            assert_eq!(FailureClass::of_message(text), class, "{text}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let failure = StartFailure::of_message("ä".repeat(400));
        assert!(failure.message.len() <= MAX_MESSAGE_LEN);
        assert!(failure.message.chars().all(|c| c == 'ä'));
    }
}
