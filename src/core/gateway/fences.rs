//! Which container classes are known to check for themselves whom they serve.

use crate::config::resolved::BindingName;
use crate::core::sorted::Set;

/// The bindings whose classes have a fence, by the word of shards about containers behind them. What nobody has spoken of
/// counts as having none. There are no more entries than container classes.
#[derive(Debug, Default)]
pub struct Fences {
    seen: Set<BindingName>,
}

impl Fences {
    /// A shard said of a container behind `binding` whether it has a fence.
    pub fn note(&mut self, binding: &BindingName, fenced: bool) {
        if !fenced {
            self.seen.remove(binding);
        } else if !self.seen.contains(binding) {
            self.seen.insert(binding.clone());
        }
    }

    /// Whether the class behind `binding` is known to have a fence.
    pub fn has(&self, binding: &BindingName) -> bool {
        self.seen.contains(binding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_a_fence_only_by_a_shards_last_word_on_it() {
        let [agent, class] = ["AGENT", "CLASS"].map(|name| BindingName::try_from(name.to_owned()).unwrap());
        let mut fences = Fences::default();
        assert!(!fences.has(&agent), "nobody has spoken");
        fences.note(&agent, true);
        fences.note(&class, false);
        assert!(fences.has(&agent) && !fences.has(&class));
        fences.note(&agent, false);
        assert!(!fences.has(&agent));
    }
}
