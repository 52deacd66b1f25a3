//! The right to change things, which ends. Whoever grants it prolongs it in time or not at all; every connection asks it
//! right before the bytes of a change leave.
//!
//! *Architecture Invariant:* a permit that has ended never holds again. Who gets the right anew gets a new permit, and what
//! was meant under the old one stays unsent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term {
    Awaited,
    Unlimited,
    Until(Instant),
    Ended,
}

/// The right to change things. Clones are the same right.
#[derive(Debug, Clone)]
pub struct Permit(Arc<Mutex<Term>>);

impl Permit {
    fn new(term: Term) -> Self {
        Self(Arc::new(Mutex::new(term)))
    }

    /// A right that ends only by [`Permit::end`]: for who is alone.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(Term::Unlimited)
    }

    /// A right that is yet to be granted.
    #[must_use]
    pub fn awaited() -> Self {
        Self::new(Term::Awaited)
    }

    /// Grants or prolongs the right up to that moment, unless it has ended; tells whether it holds. It is never shortened.
    #[must_use = "a permit that has ended is not prolonged"]
    pub fn grant_until(&self, deadline: Instant) -> bool {
        {
            let mut term = self.current();
            *term = match *term {
                Term::Awaited => Term::Until(deadline),
                Term::Until(earlier) => Term::Until(earlier.max(deadline)),
                other => other,
            };
        }
        self.holds()
    }

    /// Ends the right at once, for ever.
    pub fn end(&self) {
        *self.term() = Term::Ended;
    }

    /// Whether the right holds at this moment.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(*self.current(), Term::Unlimited | Term::Until(_))
    }

    /// The term, ended if its time is over.
    fn current(&self) -> MutexGuard<'_, Term> {
        let mut term = self.term();
        if let Term::Until(deadline) = *term
            && deadline <= Instant::now()
        {
            *term = Term::Ended;
        }
        term
    }

    fn term(&self) -> MutexGuard<'_, Term> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn until(deadline: Instant) -> Permit {
        let permit = Permit::awaited();
        let _ended_already = permit.grant_until(deadline);
        permit
    }

    #[test]
    fn a_permit_holds_from_its_grant_to_its_deadline() {
        assert!(!Permit::awaited().holds());
        assert!(until(Instant::now() + HOUR).holds());
        assert!(!until(Instant::now()).holds());
        assert!(Permit::unlimited().holds());
    }

    #[test]
    fn prolonged_in_time_it_holds_on_and_is_never_shortened() {
        let (permit, now) = (until(Instant::now() + HOUR), Instant::now());
        assert!(permit.grant_until(now + HOUR * 2));
        assert!(permit.grant_until(now));
        assert!(permit.holds());
    }

    #[test]
    fn what_has_ended_is_not_prolonged() {
        let late = until(Instant::now());
        assert!(!late.grant_until(Instant::now() + HOUR));
        assert!(!late.holds());
        for permit in [
            Permit::awaited(),
            Permit::unlimited(),
            until(Instant::now() + HOUR),
        ] {
            let same = permit.clone();
            permit.end();
            assert!(!same.grant_until(Instant::now() + HOUR));
            assert!(!same.holds());
        }
    }
}
