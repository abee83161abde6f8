//! Work shared among threads, its results in the order of the work.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
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
}
