//! Which binding leads to a container class.
//!
//! A Worker in JavaScript passes the class's namespace, and a namespace does not tell its binding. But the id that it gives to a
//! name is its own: of two namespaces that give the same id to one name, both lead to the same class.

use js_sys::Object;
use wasm_bindgen::JsCast;
use worker::Env;

use super::js;
use crate::config::resolved::BindingName;

/// The name of which the id is compared. No object ever has it.
pub const PROBE: &str = "cf-warm-pools/probe";

/// Why there is no binding to name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    /// None leads to the class.
    #[error(
        "no Durable Object binding of the Worker that has the pools leads to the container class that was passed: add it to its wrangler.jsonc"
    )]
    Unbound,
    /// Several do. Pools of one class share its limit, so that they must call it by one name.
    #[error("the bindings {} lead to the same container class: name the one to use with `container`", .0.join(" and "))]
    Ambiguous(Vec<String>),
    /// The one that was named leads to another.
    #[error("`container` names the binding {0}, which does not lead to the container class that was passed")]
    Another(BindingName),
}

/// The binding of `env` that leads to the class whose namespace gives [`PROBE`] the id `class`; the one that is named, if one
/// is.
///
/// # Errors
///
/// When there is none, or several and none is named.
pub fn binding_of(env: &Env, class: &str, named: Option<&BindingName>) -> Result<BindingName, ClassError> {
    if let Some(named) = named {
        return if leads_to(env, named.as_str(), class) {
            Ok(named.clone())
        } else {
            Err(ClassError::Another(named.clone()))
        };
    }
    let bindings: &Object = env.unchecked_ref();
    let keys = Object::keys(bindings);
    let names = keys.iter().filter_map(|name| name.as_string());
    let found: Vec<String> = names.filter(|name| leads_to(env, name, class)).collect();
    match found.as_slice() {
        [] => Err(ClassError::Unbound),
        [one] => BindingName::try_from(one.clone()).map_err(|_| ClassError::Unbound),
        [_, ..] => Err(ClassError::Ambiguous(found)),
    }
}

fn leads_to(env: &Env, binding: &str, class: &str) -> bool {
    // A variable may be null, of which `Env` would ask the constructor.
    if js::get(env, binding).is_null() {
        return false;
    }
    let Ok(namespace) = env.durable_object(binding) else { return false };
    namespace.id_from_name(PROBE).is_ok_and(|id| id.to_string() == class)
}

#[cfg(test)]
mod tests {
    use super::PROBE;

    #[test]
    fn both_sides_of_the_border_ask_for_the_same_name() {
        assert!(include_str!("../shim/npm.mjs").contains(&format!("const PROBE = {PROBE:?};")));
    }
}
