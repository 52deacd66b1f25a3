//! What a failure prints: the reason, the pods and events around it, and the next thing to try.
