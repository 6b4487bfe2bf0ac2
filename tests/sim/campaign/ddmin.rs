//! Delta debugging: from a list that shows a failure to a short part of it that still does.
//!
//! After "Simplifying and Isolating Failure-Inducing Input" (Zeller and Hildebrandt, 2002), in the form that only removes:
//! halves first, then ever smaller pieces, last of all single items until none can go. What comes out is 1-minimal, unless
//! the search was broken off.

/// What a part of the list does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It shows the failure.
    Fails,
    /// It does not.
    Holds,
    /// There is no more time to find out.
    Spent,
}

/// A part of `whole`, in its order, that fails; `whole` is taken to fail.
pub fn ddmin<T: Clone>(whole: &[T], mut verdict: impl FnMut(&[T]) -> Verdict) -> Vec<T> {
    if whole.is_empty() {
        return Vec::new();
    }
    // So often nothing of it matters that this is worth a try.
    match verdict(&[]) {
        Verdict::Fails => return Vec::new(),
        Verdict::Holds => {}
        Verdict::Spent => return whole.to_vec(),
    }
    let mut rest = whole.to_vec();
    let mut size = rest.len().div_ceil(2);
    loop {
        let before = rest.len();
        // From the end: what comes late is seldom the cause.
        let mut end = rest.len();
        while end > 0 {
            let start = end.saturating_sub(size);
            let without = [&rest[..start], &rest[end..]].concat();
            match verdict(&without) {
                Verdict::Fails => rest = without,
                Verdict::Holds => {}
                Verdict::Spent => return rest,
            }
            end = start;
        }
        if size == 1 && rest.len() == before {
            return rest;
        }
        size = (size / 2).max(1);
    }
}
