//! Who is told how work was put together into requests. Decides nothing, and must return at once.

use std::fmt::Debug;
use std::time::Duration;

/// Who is told of every batch.
pub trait Observer: Debug + Send + Sync + 'static {
    /// A batch of the port's method leaves; each of its items has waited so long for that.
    fn batch(&self, method: &'static str, waited: &[Duration]);
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn batch(&self, _method: &'static str, _waited: &[Duration]) {}
}
