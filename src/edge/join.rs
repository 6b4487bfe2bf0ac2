//! Several pieces of work at once.
//!
//! Whatever they answer, the pieces are polled as futures of nothing that leave their answers behind, so that there is one copy of
//! what polls them.

use std::cell::Cell;
use std::future::Future;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

type Pieces<'w> = FuturesUnordered<LocalBoxFuture<'w, ()>>;

/// Waits for all. Their answers are in the order of the pieces.
pub async fn join_all<F: Future>(work: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let work: Vec<F> = work.into_iter().collect();
    let answers: Vec<Cell<Option<F::Output>>> = work.iter().map(|_| Cell::new(None)).collect();
    let pieces = work.into_iter().zip(&answers);
    finish(pieces.map(|(piece, answer)| piece.map(|given| answer.set(Some(given))).boxed_local()).collect()).await;
    answers.into_iter().filter_map(Cell::into_inner).collect()
}

/// Waits until one has answered with true, or all with false. Those that are not done then are given up.
pub async fn any(work: impl IntoIterator<Item = impl Future<Output = bool>>) -> bool {
    let found = Cell::new(false);
    let pieces = work.into_iter().map(|piece| piece.map(|given| found.set(found.get() || given)).boxed_local());
    let mut pieces: Pieces<'_> = pieces.collect();
    while !found.get() && pieces.next().await.is_some() {}
    found.get()
}

async fn finish(mut pieces: Pieces<'_>) {
    while pieces.next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use futures::channel::oneshot;
    use futures::future::{Either, pending, ready};

    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_pieces_not_in_that_of_the_answers() {
        let (tell, told) = oneshot::channel();
        let first = async move { told.await.unwrap_or(0) };
        let second = async move {
            tell.send(1).ok();
            2
        };
        assert_eq!(join_all([first.boxed_local(), second.boxed_local()]).now_or_never(), Some(vec![1, 2]));
        assert_eq!(join_all(Vec::<futures::future::Ready<u8>>::new()).now_or_never(), Some(vec![]));
    }

    #[test]
    fn one_that_says_true_is_enough() {
        assert_eq!(any([Either::Left(pending()), Either::Right(ready(true))]).now_or_never(), Some(true));
        assert_eq!(any([ready(false), ready(false)]).now_or_never(), Some(false));
    }
}
