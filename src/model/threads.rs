//! Work shared among threads, its results in the order of the work.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// So many places cut into pieces of this length, 0 counting as 1.
pub(crate) fn cut(places: usize, length: usize) -> Vec<Range<usize>> {
    let length = length.max(1);
    let starts = (0..places).step_by(length);
    starts.map(|start| start..(start + length).min(places)).collect()
}

/// Two things at once, where there is more than one thread.
pub(super) fn both<A, B: Send>(threads: usize, a: impl FnOnce() -> A, b: impl FnOnce() -> B + Send) -> (A, B) {
    if threads < 2 {
        return (a(), b());
    }
    thread::scope(|scope| {
        let other = scope.spawn(b);
        let a = a();
        (a, join(other))
    })
}

/// The same for each item, in the order of the items, while `beside` is worked out by one of the threads.
pub(crate) fn each_beside<T: Sync, R: Send, B>(
    threads: usize,
    items: &[T],
    each: impl Fn(&T) -> R + Sync,
    beside: impl FnOnce() -> B,
) -> (Vec<R>, B) {
    if threads < 2 || items.len() < 2 {
        return (items.iter().map(each).collect(), beside());
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else { return done };
            done.push((place, each(item)));
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(items.len())).map(|_| scope.spawn(work)).collect();
        let beside = beside();
        let mut done = work();
        done.extend(others.into_iter().flat_map(join));
        done.sort_by_key(|(place, _)| *place);
        (done.into_iter().map(|(_, result)| result).collect(), beside)
    })
}

/// Pieces of work whose results one thread takes in their order, while others help it to work them out.
pub(super) struct Pieces<'a, R> {
    count: usize,
    each: &'a (dyn Fn(usize) -> R + Sync),
    state: Mutex<PiecesState<R>>,
    changed: Condvar,
}

struct PiecesState<R> {
    /// The next piece that nobody works on.
    next: usize,
    /// Results that wait to be taken.
    done: HashMap<usize, R>,
    /// How many were taken.
    taken: usize,
    /// A thread panicked over a piece: nobody need wait for it.
    lost: bool,
}

/// Work on a piece, which a panic breaks off.
struct Underway<'p, 'a, R>(&'p Pieces<'a, R>);

impl<R> Drop for Underway<'_, '_, R> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().lost = true;
            self.0.changed.notify_all();
        }
    }
}

impl<'a, R> Pieces<'a, R> {
    /// Results that may wait: so many that no thread waits long for another, so few that they take no room to speak of.
    const AHEAD: usize = 8;

    /// So many pieces, each worked out by its number.
    pub(super) fn new(count: usize, each: &'a (dyn Fn(usize) -> R + Sync)) -> Self {
        Self {
            count,
            each,
            state: Mutex::new(PiecesState {
                next: 0,
                done: HashMap::new(),
                taken: 0,
                lost: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, PiecesState<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, state: MutexGuard<'g, PiecesState<R>>) -> MutexGuard<'g, PiecesState<R>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on pieces until somebody works on each.
    pub(super) fn help(&self) {
        let mut state = self.lock();
        while state.next < self.count && !state.lost {
            if state.next >= state.taken + Self::AHEAD {
                state = self.wait(state);
                continue;
            }
            state = self.work(state);
        }
    }

    fn work<'g>(&'g self, mut state: MutexGuard<'g, PiecesState<R>>) -> MutexGuard<'g, PiecesState<R>> {
        let piece = state.next;
        state.next += 1;
        drop(state);
        let underway = Underway(self);
        let result = (self.each)(piece);
        drop(underway);
        let mut state = self.lock();
        state.done.insert(piece, result);
        self.changed.notify_all();
        state
    }

    /// The results in the order of the pieces, up to one over which a thread panicked: it says so when it is joined. Whoever
    /// asks works on pieces as well, rather than wait for one.
    pub(super) fn results(&self) -> impl Iterator<Item = R> {
        (0..self.count).map_while(|piece| {
            let mut state = self.lock();
            loop {
                if let Some(result) = state.done.remove(&piece) {
                    state.taken = piece + 1;
                    self.changed.notify_all();
                    return Some(result);
                }
                if state.lost {
                    return None;
                }
                state = if state.next < self.count {
                    self.work(state)
                } else {
                    self.wait(state)
                };
            }
        })
    }
}

/// Waits for a thread; its panic goes on here.
fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_items_whatever_the_number_of_threads() {
        let items: Vec<u32> = (0..1000).collect();
        let expected: Vec<u32> = items.iter().map(|item| item * 2).collect();
        for threads in [0, 1, 2, 3, 2000] {
            let (doubled, beside) = each_beside(threads, &items, |item| item * 2, || 7);
            assert_eq!((doubled, beside), (expected.clone(), 7));
            assert_eq!(cut(10, 4), [0..4, 4..8, 8..10]);
            assert_eq!(both(threads, || 1, || 2), (1, 2));
        }
    }

    #[test]
    fn pieces_come_in_their_order_whoever_worked_on_them() {
        let each = |piece: usize| piece * 3;
        for helpers in 0..3 {
            let pieces = Pieces::new(100, &each);
            let results: Vec<usize> = thread::scope(|scope| {
                for _ in 0..helpers {
                    scope.spawn(|| pieces.help());
                }
                pieces.results().collect()
            });
            assert_eq!(results, (0..300).step_by(3).collect::<Vec<_>>());
            assert!(pieces.lock().done.is_empty());
        }
        assert_eq!(Pieces::new(0, &each).results().count(), 0);
    }

    #[test]
    fn nobody_waits_for_a_piece_over_which_a_thread_panicked() {
        let each = |piece: usize| assert_ne!(piece, 0, "the first one");
        let pieces = Pieces::new(50, &each);
        thread::scope(|scope| {
            let helper = scope.spawn(|| pieces.help());
            assert!(helper.join().is_err());
            assert_eq!(pieces.results().count(), 0);
        });
    }
}
