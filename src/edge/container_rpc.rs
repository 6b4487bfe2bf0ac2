//! Calls of a shard to a container object: a Rust agent, or any class with the methods of `@cloudflare/containers`. All but
//! health checks.

use wasm_bindgen::JsValue;
use worker::{Env, Stub};

use super::js::{self, CallError};
use crate::config::resolved::{BindingName, Millis};
use crate::core::failure::{FailureClass, StartFailure};
use crate::core::id::{ContainerId, ShardId};
use crate::core::shard::{Call, ContainerKind, Input, Spec};
use crate::wire::agent::{StartReply, StartRequest};

/// How long a call that only asks or signals may take.
const CALL_DEADLINE: Millis = Millis::from_secs(10);
/// How long a destruction may take: the platform kills the process and waits for its end.
const DESTROY_DEADLINE: Millis = Millis::from_secs(30);

/// Makes the call, and returns the input that tells the shard how it went; none for a call whose end tells it nothing.
pub async fn perform(
    env: &Env,
    owner: &ShardId,
    container: ContainerId,
    binding: &BindingName,
    call: Call,
) -> Option<Input> {
    Some(match call {
        Call::Start(spec) => match stub(env, container, binding) {
            Ok(stub) => {
                let result = start(stub, owner, container, *spec).await;
                Input::StartDone { container, result }
            }
            Err(error) => {
                let message = format!("the Worker has no Durable Object binding {binding}: {error}");
                Input::StartUnsent { container, failure: StartFailure::new(FailureClass::Permanent, message) }
            }
        },
        Call::Stop => Input::StopDone(container, tell(env, container, binding, "stop", CALL_DEADLINE).await),
        Call::Destroy => {
            Input::DestroyDone(container, tell(env, container, binding, "destroy", DESTROY_DEADLINE).await)
        }
        // Made together with the others of its step: see `warm_pool_do/checks.rs`.
        Call::Check => return None,
        Call::Renew => {
            tell(env, container, binding, "renewActivityTimeout", CALL_DEADLINE).await;
            return None;
        }
    })
}

/// The stub of a container object. A new one for each call: after an error a stub is spent.
pub fn stub(env: &Env, container: ContainerId, binding: &BindingName) -> worker::Result<Stub> {
    env.durable_object(binding.as_str())?.get_by_name(&container.to_string())
}

/// The text by which a container object is known to itself: `ctx.id.toString()`.
pub fn hex_id(env: &Env, container: ContainerId, binding: &BindingName) -> worker::Result<String> {
    let namespace = env.durable_object(binding.as_str())?;
    Ok(namespace.id_from_name(&container.to_string())?.to_string())
}

async fn start(stub: Stub, owner: &ShardId, container: ContainerId, spec: Spec) -> Result<ContainerKind, StartFailure> {
    let deadline = spec.start_timeout();
    let request = StartRequest {
        container,
        owner: owner.clone(),
        start: spec.start,
        sleep_after: spec.sleep_after,
        lease_ttl: spec.lease_ttl,
        drain_timeout: spec.drain_timeout,
    };
    let unknown = |error: JsValue| StartFailure::new(FailureClass::Unknown, js::error_text(&error));
    let request = js::to_js(&request).map_err(unknown)?;
    match js::invoke(&stub.into_rpc(), "startAndWaitForPorts", &[request], deadline).await {
        // A class of `@cloudflare/containers` answers nothing.
        Ok(answer) if answer.is_null_or_undefined() => Ok(ContainerKind::Class),
        Ok(answer) => match js::from_js(answer).map_err(unknown)? {
            StartReply::Ready => Ok(ContainerKind::Agent),
            StartReply::Failed(failure) => Err(failure),
        },
        Err(CallError::Threw(text)) => Err(StartFailure::of_message(text)),
        Err(other @ (CallError::Late { .. } | CallError::Refused(_))) => {
            Err(StartFailure::new(FailureClass::Unknown, other.to_string()))
        }
    }
}

/// Calls a method that answers nothing. Returns whether it did.
async fn tell(env: &Env, container: ContainerId, binding: &BindingName, method: &str, deadline: Millis) -> bool {
    let Ok(stub) = stub(env, container, binding) else { return false };
    match js::invoke(&stub.into_rpc(), method, &[], deadline).await {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%container, method, %error, "a call to a container failed");
            false
        }
    }
}
