//! The way of one request to the container of its id: where it is sent, and whether it is sent again.
//!
//! ```text
//!   known container ──> send ──served──────────────────────────> serve
//!         │              │ turned away, or not reached
//!         v              v
//!        ask <───── once more, if the request may be sent again ──no──> refuse
//!         └── assigned ──> send
//! ```
//!
//! A container with a fence turns a request away before anything of it reaches the process, so such a request may be sent
//! again whenever its body is still at hand. A call that failed may have arrived: then only what is safe to repeat
//! is sent again.

use super::cache::Sticky;
use super::denial::{Denial, DenialCode};
use crate::config::resolved::BindingName;
use crate::core::agent::Refusal as FenceRefusal;
use crate::core::id::{ContainerId, Epoch};
use crate::core::mutants::{self, Mutant};
use crate::core::outcome::{Assignment, Outcome, Reason, Refusal};

/// The most containers one request is sent to: the remembered one, the assigned one, and one after a last question.
pub const MAX_SENDS: u32 = 3;

/// The longest body that is kept at hand to be sent again, in bytes.
pub const MAX_REPLAY_BYTES: u64 = 64 * 1024;

/// Whether a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// In any case: it has no body and changes nothing.
    Anytime,
    /// When nothing of it has reached a container.
    IfUnsent,
    /// Never: its body is a stream, gone once sent.
    Never,
}

impl Replay {
    /// What holds for a request of `method` (upper case).
    pub fn of(method: &str, body: Body) -> Self {
        match body {
            Body::None if matches!(method, "GET" | "HEAD" | "OPTIONS") => Self::Anytime,
            Body::None => Self::IfUnsent,
            Body::Known(bytes) if bytes <= MAX_REPLAY_BYTES => Self::IfUnsent,
            Body::Known(_) | Body::Stream => Self::Never,
        }
    }
}

/// What is known of a request's body before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// So many bytes.
    Known(u64),
    /// Of unknown length.
    Stream,
}

/// A container to send the request to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The container.
    pub container: ContainerId,
    /// The epoch for its fence; none for one that has no fence.
    pub fence: Option<Epoch>,
    /// How the id came by it.
    pub outcome: Outcome,
    /// Why it is not the one before, or was not warm.
    pub reason: Option<Reason>,
    /// By which binding its object is found.
    pub class: Class,
}

/// By which binding a container's object is found: of one name, each class has another object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// The pool's, as the caller's configuration has it: nothing else is remembered.
    OfPool,
    /// This one, by the shard's word.
    Told(BindingName),
    /// A shard of older code did not tell. The pool's is the best guess.
    Untold,
}

impl Destination {
    /// The binding to send to, for a caller whose configuration names `of_pool` for the pool.
    pub fn binding<'a>(&'a self, of_pool: &'a BindingName) -> &'a BindingName {
        match &self.class {
            Class::Told(binding) => binding,
            Class::OfPool | Class::Untold => of_pool,
        }
    }

    /// What may be remembered of it by a caller whose configuration names `of_pool` for the pool. Only a container with a fence
    /// finds a stale memory out, and only one that is known to be of the pool's class is found again.
    pub fn sticky(&self, of_pool: &BindingName) -> Option<Sticky> {
        let found_again = match &self.class {
            Class::OfPool => true,
            Class::Told(binding) => binding == of_pool,
            Class::Untold => false,
        };
        self.fence.filter(|_| found_again).map(|epoch| Sticky { container: self.container, epoch })
    }
}

impl From<&Assignment> for Destination {
    fn from(assignment: &Assignment) -> Self {
        let Assignment { container, epoch, fenced, outcome, reason, shard: _, binding } = assignment;
        let fence = fenced.then_some(*epoch);
        let class = binding.clone().map_or(Class::Untold, Class::Told);
        Self { container: *container, fence, outcome: *outcome, reason: *reason, class }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the shard: [`Dispatch::assigned`] or [`Dispatch::refused`]. A shard that cannot be asked ends the way.
    Ask {
        /// The container that could not be reached or said that it is no more: the shard looks at it.
        suspect: Option<ContainerId>,
    },
    /// Send the request: its answer is the answer, or [`Dispatch::fenced`] or [`Dispatch::unreachable`].
    Send(Destination),
    /// Give up.
    Refuse(Denial),
}

/// The way of one request.
#[derive(Debug)]
pub struct Dispatch {
    replay: Replay,
    /// Where it was sent last, and whether the shard named that container for this very request.
    sent: Option<(ContainerId, Origin)>,
    /// Whether the last question is spent.
    asked_again: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Remembered,
    Assigned,
}

impl Dispatch {
    /// A request, and the first thing to do. A remembered container is tried only by a request that may be sent again.
    pub fn new(replay: Replay, known: Option<Sticky>) -> (Self, Next) {
        let mut dispatch = Self { replay, sent: None, asked_again: false };
        let next = match known.filter(|_| replay != Replay::Never) {
            Some(known) => dispatch.remembered(known),
            None => Next::Ask { suspect: None },
        };
        (dispatch, next)
    }

    /// A [`hint`](super::hint) came to light while the shard was being asked. None when it is not to be tried: only a request
    /// that may be sent again in any case takes the risk, for the call to a container that never was may just fail.
    pub fn hinted(&mut self, hint: Sticky) -> Option<Next> {
        (self.replay == Replay::Anytime && self.sent.is_none()).then(|| self.remembered(hint))
    }

    /// The shard named a container.
    pub fn assigned(&mut self, assignment: &Assignment) -> Next {
        let destination = Destination::from(assignment);
        self.sent = Some((destination.container, Origin::Assigned));
        Next::Send(destination)
    }

    /// The shard named none.
    pub fn refused(&mut self, refusal: &Refusal) -> Next {
        Next::Refuse(Denial::from(refusal))
    }

    /// The container turned the request away.
    pub fn fenced(&mut self, why: FenceRefusal) -> Next {
        let Some((container, origin)) = self.sent else { return Next::Ask { suspect: None } };
        let denial = || match why {
            FenceRefusal::Unconfirmed => Denial::new(
                DenialCode::Unconfirmed,
                "the container could not make sure that it still serves this id; try again",
            ),
            FenceRefusal::NotYours | FenceRefusal::Gone => {
                Denial::new(DenialCode::ContainerChanged, "the container of this id has just changed; try again")
            }
        };
        let suspect = match (why, origin) {
            // The id has another one by now, of which this one knows nothing bad.
            (FenceRefusal::NotYours, Origin::Remembered) => None,
            (FenceRefusal::NotYours | FenceRefusal::Unconfirmed | FenceRefusal::Gone, _) => Some(container),
        };
        self.ask_again(self.replay != Replay::Never, origin, suspect, denial)
    }

    /// The call to the container failed: it may have arrived or not.
    pub fn unreachable(&mut self) -> Next {
        let Some((container, origin)) = self.sent else { return Next::Ask { suspect: None } };
        let denial = || Denial::new(DenialCode::ContainerUnreachable, "the container of this id could not be reached");
        let repeatable = self.replay == Replay::Anytime || mutants::on(Mutant::UnsafeReplay);
        self.ask_again(repeatable, origin, Some(container), denial)
    }

    fn remembered(&mut self, known: Sticky) -> Next {
        let Sticky { container, epoch } = known;
        self.sent = Some((container, Origin::Remembered));
        let (fence, outcome) = (Some(epoch), Outcome::Sticky);
        Next::Send(Destination { container, fence, outcome, reason: None, class: Class::OfPool })
    }

    fn ask_again(
        &mut self,
        allowed: bool,
        origin: Origin,
        suspect: Option<ContainerId>,
        denial: impl FnOnce() -> Denial,
    ) -> Next {
        let spent = match origin {
            Origin::Remembered => false,
            Origin::Assigned => std::mem::replace(&mut self.asked_again, true),
        };
        if allowed && !spent { Next::Ask { suspect } } else { Next::Refuse(denial()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::ShardIndex;
    use crate::core::outcome::RefusalCode;
    use proptest::prelude::*;

    fn container(n: u128) -> ContainerId {
        ContainerId::from_random(n)
    }

    fn known(n: u128) -> Sticky {
        Sticky { container: container(n), epoch: Epoch(1) }
    }

    fn assignment(n: u128, fenced: bool) -> Assignment {
        Assignment {
            container: container(n),
            epoch: Epoch(2),
            fenced,
            outcome: Outcome::Cold,
            reason: Some(Reason::Exhausted),
            shard: ShardIndex(0),
            binding: Some(binding("POOLS")),
        }
    }

    fn binding(name: &str) -> BindingName {
        BindingName::try_from(name.to_owned()).unwrap()
    }

    #[test]
    fn a_container_is_reached_by_the_binding_that_the_shard_tells_and_remembered_only_behind_the_pools() {
        let of_pool = binding("POOLS");
        let to = |binding| Destination::from(&Assignment { binding, ..assignment(1, true) });
        for (told, reached, remembered) in [
            (Some("POOLS"), "POOLS", true),
            (Some("OTHER"), "OTHER", false),
            // A shard of older code: a guess, which is not to last.
            (None, "POOLS", false),
        ] {
            let to = to(told.map(binding));
            assert_eq!(to.binding(&of_pool).as_str(), reached, "{told:?}");
            assert_eq!(to.sticky(&of_pool).is_some(), remembered, "{told:?}");
        }
        let (_, next) = Dispatch::new(Replay::Anytime, Some(known(1)));
        let Next::Send(to) = next else { panic!("{next:?}") };
        assert_eq!((to.binding(&of_pool), to.sticky(&of_pool)), (&of_pool, Some(known(1))));
    }

    fn code(next: Next) -> DenialCode {
        match next {
            Next::Refuse(denial) => denial.code,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn sent_to(next: &Next) -> Option<ContainerId> {
        match next {
            Next::Send(destination) => Some(destination.container),
            Next::Ask { .. } | Next::Refuse(_) => None,
        }
    }

    #[test]
    fn a_known_container_is_tried_without_asking() {
        let (_, next) = Dispatch::new(Replay::Anytime, Some(known(1)));
        let Next::Send(destination) = next else { panic!("{next:?}") };
        assert_eq!((destination.container, destination.fence), (container(1), Some(Epoch(1))));
        assert_eq!((destination.outcome, destination.reason), (Outcome::Sticky, None));
    }

    #[test]
    fn a_stream_is_sent_only_to_a_container_just_assigned() {
        let (mut dispatch, next) = Dispatch::new(Replay::Never, Some(known(1)));
        assert_eq!(next, Next::Ask { suspect: None });
        assert_eq!(dispatch.hinted(known(1)), None);
        assert_eq!(sent_to(&dispatch.assigned(&assignment(2, true))), Some(container(2)));
        assert_eq!(code(dispatch.fenced(FenceRefusal::Gone)), DenialCode::ContainerChanged);
    }

    #[test]
    fn a_stale_memory_costs_one_question() {
        let (mut dispatch, _) = Dispatch::new(Replay::IfUnsent, Some(known(1)));
        assert_eq!(dispatch.fenced(FenceRefusal::NotYours), Next::Ask { suspect: None });
        let Next::Send(destination) = dispatch.assigned(&assignment(2, true)) else { panic!() };
        assert_eq!((destination.outcome, destination.reason), (Outcome::Cold, Some(Reason::Exhausted)));
        // And even after it, the assigned container may turn out to be gone, once.
        assert_eq!(dispatch.fenced(FenceRefusal::Gone), Next::Ask { suspect: Some(container(2)) });
        assert_eq!(sent_to(&dispatch.assigned(&assignment(3, true))), Some(container(3)));
        assert_eq!(code(dispatch.fenced(FenceRefusal::Gone)), DenialCode::ContainerChanged);
    }

    #[test]
    fn a_container_that_cannot_confirm_is_looked_at_by_its_shard() {
        let (mut dispatch, _) = Dispatch::new(Replay::Anytime, None);
        dispatch.assigned(&assignment(1, true));
        assert_eq!(dispatch.fenced(FenceRefusal::Unconfirmed), Next::Ask { suspect: Some(container(1)) });
        dispatch.assigned(&assignment(1, true));
        let Next::Refuse(denial) = dispatch.fenced(FenceRefusal::Unconfirmed) else { panic!() };
        assert_eq!((denial.code, denial.retry_after_secs), (DenialCode::Unconfirmed, Some(1)));
    }

    #[test]
    fn what_may_have_arrived_is_repeated_only_when_that_is_safe() {
        for (replay, again) in [(Replay::Anytime, true), (Replay::IfUnsent, false), (Replay::Never, false)] {
            let (mut dispatch, _) = Dispatch::new(replay, None);
            dispatch.assigned(&assignment(1, true));
            let next = dispatch.unreachable();
            assert_eq!(next == Next::Ask { suspect: Some(container(1)) }, again, "{replay:?}");
            if !again {
                assert_eq!(code(next), DenialCode::ContainerUnreachable);
            }
        }
    }

    #[test]
    fn a_hint_is_not_tried_by_what_cannot_be_repeated_if_the_call_fails() {
        for (replay, tried) in [(Replay::Anytime, true), (Replay::IfUnsent, false), (Replay::Never, false)] {
            let (mut dispatch, _) = Dispatch::new(replay, None);
            assert_eq!(dispatch.hinted(known(1)).is_some(), tried, "{replay:?}");
        }
    }

    #[test]
    fn a_hint_is_of_use_only_before_the_shard_has_answered() {
        let (mut dispatch, _) = Dispatch::new(Replay::Anytime, None);
        assert_eq!(dispatch.hinted(known(1)).as_ref().and_then(sent_to), Some(container(1)));
        assert_eq!(dispatch.hinted(known(2)), None);
    }

    #[test]
    fn only_a_container_with_a_fence_is_remembered() {
        let of_pool = binding("POOLS");
        assert_eq!(Destination::from(&assignment(1, false)).sticky(&of_pool), None);
        let sticky = Sticky { container: container(1), epoch: Epoch(2) };
        assert_eq!(Destination::from(&assignment(1, true)).sticky(&of_pool), Some(sticky));
    }

    #[test]
    fn what_may_be_sent_again_follows_from_method_and_body() {
        for (method, body, replay) in [
            ("GET", Body::None, Replay::Anytime),
            ("HEAD", Body::None, Replay::Anytime),
            ("POST", Body::None, Replay::IfUnsent),
            ("DELETE", Body::None, Replay::IfUnsent),
            ("POST", Body::Known(MAX_REPLAY_BYTES), Replay::IfUnsent),
            ("PUT", Body::Known(MAX_REPLAY_BYTES + 1), Replay::Never),
            ("POST", Body::Stream, Replay::Never),
        ] {
            assert_eq!(Replay::of(method, body), replay, "{method} {body:?}");
        }
    }

    proptest! {
        #[test]
        fn every_request_ends_after_few_sends_and_never_repeats_what_may_have_arrived(
            replay in prop_oneof![Just(Replay::Anytime), Just(Replay::IfUnsent), Just(Replay::Never)],
            remembered in any::<bool>(),
            events in proptest::collection::vec(0u8..6, 0..40),
        ) {
            let (mut dispatch, mut next) = Dispatch::new(replay, remembered.then(|| known(1)));
            let mut sends = 0;
            let mut may_have_arrived = false;
            let mut hinted = false;
            for event in events {
                next = match next {
                    Next::Ask { .. } => match event {
                        0 => dispatch.refused(&Refusal {
                            code: RefusalCode::Timeout,
                            message: String::new(),
                            retry_after_millis: None,
                            plan: None,
                            shards: None,
                        }),
                        2 if sends == 0 => match dispatch.hinted(known(9)) {
                            Some(next) => {
                                hinted = true;
                                next
                            }
                            None => continue,
                        },
                        n => dispatch.assigned(&assignment(u128::from(n), n % 2 == 0)),
                    },
                    Next::Send(_) => {
                        sends += 1;
                        prop_assert!(sends <= MAX_SENDS);
                        prop_assert!(!may_have_arrived || replay == Replay::Anytime);
                        prop_assert!(sends == 1 || replay != Replay::Never);
                        let next = match event {
                            0 | 1 => dispatch.fenced(FenceRefusal::Gone),
                            2 => dispatch.fenced(FenceRefusal::NotYours),
                            3 => dispatch.fenced(FenceRefusal::Unconfirmed),
                            _ => {
                                may_have_arrived = true;
                                dispatch.unreachable()
                            }
                        };
                        let by_hint = hinted && sends == 1;
                        prop_assert!(!by_hint || matches!(next, Next::Ask { .. }), "a hint ends no request: {next:?}");
                        next
                    }
                    Next::Refuse(_) => break,
                };
            }
        }
    }
}
