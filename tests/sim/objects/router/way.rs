//! The way of a request to the container of its id: `Pool::dispatch`, around the real [`Dispatch`].
//!
//! A question to the shard that is open while a hint is tried is not looked at until then, as a future that is not polled:
//! its answer waits, and a second call that it might need is not made before.

use cf_warm_pools::core::agent::Refusal as FenceRefusal;
use cf_warm_pools::core::gateway::{Denial, DenialCode, Destination, Dispatch, Next, Replay, Sticky};
use cf_warm_pools::core::id::ContainerId;
use cf_warm_pools::core::outcome::{Assignment, Outcome};

use super::Flow;
use super::owner::{Failure, Question};
use super::turn::Turn;
use crate::oracle::Fate;
use crate::world::message::{Answer, CallError, Fetched, Response};

/// A request's way.
pub struct Way {
    dispatch: Dispatch,
    /// What the isolate remembered when it began.
    known: Option<Sticky>,
    may_hint: bool,
    stage: Stage,
    reading: Option<Reading>,
}

enum Stage {
    /// It waits for the shard.
    Asks(Question, AfterQuestion),
    /// It waits for a container.
    Sends(Destination, Option<Box<Open>>),
    /// It is over, served by way of this hint; the answer of the shard is waited for, to be remembered.
    Learns(Question, Sticky),
    Over,
}

/// What is done with the shard's answer, beside following it.
#[derive(Clone, Copy)]
enum AfterQuestion {
    Nothing,
    WriteHint,
    /// This one was tried, and served nobody.
    CorrectHint(Sticky),
}

/// A question that is not looked at, while a hint is tried.
struct Open {
    hint: Sticky,
    question: Question,
    answer: Option<Answer>,
}

/// What the read of the id cache is for.
enum Reading {
    /// To try what it says, if it comes before the shard's answer.
    Race,
    /// To write this if it says something else.
    Compare(Sticky),
}

impl Way {
    pub fn begin(turn: &mut Turn<'_>, replay: Replay) -> Self {
        let known = turn.remembered();
        let (dispatch, next) = Dispatch::new(replay, known);
        let may_hint = known.is_none() && replay == Replay::Anytime;
        let mut way = Self { dispatch, known, may_hint, stage: Stage::Over, reading: None };
        way.go(turn, next, None);
        way
    }

    /// Whether anything of it goes on.
    pub fn flow(&self) -> Flow {
        match (&self.stage, &self.reading) {
            (Stage::Over, None) => Flow::Over,
            (_, _) => Flow::Waits,
        }
    }

    /// A call of the question has ended.
    pub fn question_ended(&mut self, turn: &mut Turn<'_>, answer: Answer) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asks(question, after) => self.poll(turn, question, after, answer),
            Stage::Sends(to, Some(mut open)) => {
                open.answer = Some(answer);
                self.stage = Stage::Sends(to, Some(open));
            }
            Stage::Learns(question, hint) => self.learn(turn, question, hint, answer),
            Stage::Sends(_, None) | Stage::Over => unreachable!("no question is open"),
        }
    }

    /// The container has answered, or not.
    pub fn sent(&mut self, turn: &mut Turn<'_>, answer: Answer) {
        let Stage::Sends(to, open) = std::mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("nothing was sent")
        };
        match answer {
            Ok(Response::Fetched(fetched)) => self.fetched(turn, to, open, fetched),
            Ok(other) => unreachable!("not an answer to a request: {other:?}"),
            Err(CallError::Threw(_) | CallError::Late) => {
                turn.isolate.cache.forget(&turn.pool.name, turn.id, to.container);
                let next = self.dispatch.unreachable();
                self.go(turn, next, open);
            }
        }
    }

    /// The id cache has answered.
    pub fn read(&mut self, turn: &mut Turn<'_>) {
        match self.reading.take() {
            // It was overtaken by an answer that is not to be written.
            None => {}
            Some(Reading::Compare(sticky)) => turn.update_hint(sticky),
            Some(Reading::Race) => {
                let Stage::Asks(question, _) = std::mem::replace(&mut self.stage, Stage::Over) else {
                    unreachable!("only beside a question")
                };
                match turn.read_hint() {
                    None => self.stage = Stage::Asks(question, AfterQuestion::WriteHint),
                    Some(hint) => {
                        let next = self.dispatch.hinted(hint).unwrap_or(Next::Ask { suspect: None });
                        self.go(turn, next, Some(Box::new(Open { hint, question, answer: None })));
                    }
                }
            }
        }
    }

    fn go(&mut self, turn: &mut Turn<'_>, next: Next, open: Option<Box<Open>>) {
        match next {
            Next::Ask { suspect } => match open.map(|open| *open) {
                None => self.ask(turn, suspect),
                Some(Open { hint, question, answer: None }) => {
                    self.stage = Stage::Asks(question, AfterQuestion::CorrectHint(hint));
                }
                Some(Open { hint, question, answer: Some(answer) }) => {
                    self.poll(turn, question, AfterQuestion::CorrectHint(hint), answer);
                }
            },
            Next::Send(to) => match turn.send(&to) {
                None => self.stage = Stage::Sends(to, open),
                Some(fetched) => self.fetched(turn, to, open, fetched),
            },
            Next::Refuse(Denial { code, .. }) => turn.answered(Fate::Denied(code)),
        }
    }

    /// Asks the shard, and beside it the id cache when a hint would be of use.
    fn ask(&mut self, turn: &mut Turn<'_>, suspect: Option<ContainerId>) {
        let may_hint = std::mem::take(&mut self.may_hint);
        let (has_id_cache, has_fence) = (turn.has_id_cache(), turn.has_fence());
        let question = Question::ask(turn, suspect);
        let after = if !has_id_cache {
            AfterQuestion::Nothing
        } else if !may_hint || suspect.is_some() || !has_fence {
            AfterQuestion::WriteHint
        } else {
            self.reading = Some(Reading::Race);
            turn.begin_reading();
            AfterQuestion::Nothing
        };
        self.stage = Stage::Asks(question, after);
    }

    /// Goes on with a question that the way waits for.
    fn poll(&mut self, turn: &mut Turn<'_>, mut question: Question, after: AfterQuestion, answer: Answer) {
        let Some(result) = question.ended(turn, answer) else {
            self.stage = Stage::Asks(question, after);
            return;
        };
        if let Some(Reading::Race) = self.reading {
            self.reading = result.as_ref().ok().and_then(|assignment| turn.sticky(assignment)).map(Reading::Compare);
        }
        match result {
            Ok(assignment) => {
                match after {
                    AfterQuestion::Nothing => {}
                    AfterQuestion::WriteHint => write_hint(turn, &assignment),
                    AfterQuestion::CorrectHint(tried) => turn.correct_hint(tried, turn.sticky(&assignment)),
                }
                let next = self.dispatch.assigned(&assignment);
                self.go(turn, next, None);
            }
            Err(failure) => {
                if let Failure::Refused(refusal) = &failure {
                    let next = self.dispatch.refused(refusal);
                    assert!(matches!(next, Next::Refuse(_)), "a refusal is followed by {next:?}");
                }
                turn.answered(failure.fate());
            }
        }
    }

    fn fetched(&mut self, turn: &mut Turn<'_>, to: Destination, open: Option<Box<Open>>, fetched: Fetched) {
        let fate = match fetched {
            Fetched::Fenced(why) if to.fence.is_some() => return self.fenced(turn, &to, open, why),
            Fetched::Served => Fate::Served(to.container),
            // A response like any other: a 502, and whatever a container says that is asked without an epoch.
            Fetched::Failed | Fetched::Fenced(_) => Fate::Denied(DenialCode::ContainerUnreachable),
        };
        match to.sticky(&turn.pool.container) {
            Some(sticky) if self.known != Some(sticky) => turn.remember(sticky),
            Some(_) | None => {}
        }
        turn.answered(fate);
        // The hint was right before the shard had answered; its answer is the better memory.
        match open.map(|open| *open) {
            None => {}
            Some(Open { hint, question, answer: None }) => self.stage = Stage::Learns(question, hint),
            Some(Open { hint, question, answer: Some(answer) }) => self.learn(turn, question, hint, answer),
        }
    }

    fn fenced(&mut self, turn: &mut Turn<'_>, to: &Destination, open: Option<Box<Open>>, why: FenceRefusal) {
        turn.note(|| format!("turned away: {why:?}"));
        turn.isolate.cache.forget(&turn.pool.name, turn.id, to.container);
        let next = self.dispatch.fenced(why);
        self.go(turn, next, open);
    }

    fn learn(&mut self, turn: &mut Turn<'_>, mut question: Question, hint: Sticky, answer: Answer) {
        match question.ended(turn, answer) {
            None => self.stage = Stage::Learns(question, hint),
            Some(Ok(assignment)) => {
                let sticky = turn.sticky(&assignment);
                if let Some(sticky) = sticky {
                    turn.remember(sticky);
                }
                turn.correct_hint(hint, sticky);
            }
            Some(Err(_)) => {}
        }
    }
}

/// Writes a hint that is new, as far as this isolate knows.
fn write_hint(turn: &mut Turn<'_>, assignment: &Assignment) {
    let Some(sticky) = turn.sticky(assignment) else { return };
    if assignment.outcome != Outcome::Sticky || turn.remembered() != Some(sticky) {
        turn.write_hint(Some(sticky));
    }
}
