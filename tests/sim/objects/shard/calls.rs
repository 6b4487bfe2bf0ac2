//! A shard's calls to containers, and what their ends mean: `src/edge/container_rpc.rs`.

use cf_warm_pools::config::resolved::{BindingName, Millis};
use cf_warm_pools::core::failure::{FailureClass, StartFailure};
use cf_warm_pools::core::id::ContainerId;
use cf_warm_pools::core::shard::{Call, ContainerKind, Finding, Spec};
use cf_warm_pools::wire::agent::{StartReply, StartRequest, Status};

use super::ShardObject;
use crate::world::World;
use crate::world::message::{Addr, Answer, CallError, Request, Response, Then};

const CALL_DEADLINE: Millis = Millis::from_secs(10);
const DESTROY_DEADLINE: Millis = Millis::from_secs(30);

impl ShardObject {
    pub(super) fn call(&self, world: &mut World, container: ContainerId, binding: &BindingName, call: Call) {
        world.platform.addressed_by(container, binding);
        world.oracle.container_called(world.now, self.addr, container, &call);
        let to = Addr::Container(container);
        let (request, within, then) = match call {
            Call::Start(spec) => {
                let within = spec.start_timeout();
                let Spec { start, sleep_after, lease_ttl, drain_timeout, .. } = *spec;
                let owner = self.id.clone();
                let request = StartRequest { container, owner, start, sleep_after, lease_ttl, drain_timeout };
                (Request::Start(Box::new(request)), within, Then::Start(container))
            }
            Call::Stop => (Request::Stop, CALL_DEADLINE, Then::Stop(container)),
            Call::Destroy => (Request::Destroy, DESTROY_DEADLINE, Then::Destroy(container)),
            Call::Check => (Request::GetState, CALL_DEADLINE, Then::Check(container)),
            Call::Renew => (Request::Renew, CALL_DEADLINE, Then::Nothing),
        };
        world.call(self.addr, to, request, within, then);
    }
}

pub fn started(answer: Answer) -> Result<ContainerKind, StartFailure> {
    match answer {
        Ok(Response::Nothing) => Ok(ContainerKind::Class),
        Ok(Response::Started(StartReply::Ready)) => Ok(ContainerKind::Agent),
        Ok(Response::Started(StartReply::Failed(failure))) => Err(failure),
        Ok(other) => unreachable!("not an answer to a start: {other:?}"),
        Err(CallError::Threw(text)) => Err(StartFailure::of_message(text)),
        Err(CallError::Late) => Err(StartFailure::new(FailureClass::Unknown, "no answer in time")),
    }
}

pub fn finding(answer: &Answer) -> Finding {
    match answer {
        Ok(Response::State(Status::Running | Status::Healthy)) => Finding::Running,
        Ok(Response::State(Status::Stopping)) => Finding::Stopping,
        Ok(Response::State(Status::Stopped | Status::StoppedWithCode)) => Finding::Stopped,
        Ok(_) | Err(_) => Finding::Unknown,
    }
}
